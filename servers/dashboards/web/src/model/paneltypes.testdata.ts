// Ids of the panels that have a component; the registry itself needs a browser.
export const panelTypes = ['timeseries', 'stat', 'gauge', 'bargauge', 'table', 'text', 'logs', 'heatmap', 'barchart', 'piechart', 'histogram', 'state-timeline', 'status-history', 'alertlist', 'dashlist', 'annolist'];
