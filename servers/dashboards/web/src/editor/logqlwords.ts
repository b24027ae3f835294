// Words of LogQL offered by completion.

export interface WordDoc { name: string; detail?: string; info?: string; apply?: string }

export const stages: WordDoc[] = [
  { name: 'json', info: 'Takes fields from a JSON line' }, { name: 'logfmt', info: 'Takes fields from key=value pairs' }, { name: 'regexp', apply: 'regexp "', info: 'Takes named groups of a regular expression' }, { name: 'pattern', apply: 'pattern "', info: 'Takes <name> captures of a pattern' },
  { name: 'unpack', info: 'Opens lines packed by the agent' }, { name: 'line_format', apply: 'line_format "{{.', info: 'Writes the line anew from a template' }, { name: 'label_format', apply: 'label_format ', info: 'Renames or sets labels' }, { name: 'unwrap', apply: 'unwrap ', info: 'Takes a label as the value of range functions' },
  { name: 'drop', apply: 'drop ', info: 'Drops labels' }, { name: 'keep', apply: 'keep ', info: 'Keeps only these labels' }, { name: 'decolorize', info: 'Removes colour codes' }, { name: '= ""', detail: 'contains', apply: '= "' }, { name: '~ ""', detail: 'matches', apply: '~ "' },
];
const range = (name: string, info: string): WordDoc => ({ name, info, detail: 'range', apply: `${name}(` });
export const rangeFunctions: WordDoc[] = [
  range('rate', 'Lines a second'), range('count_over_time', 'Lines in the range'), range('bytes_rate', 'Bytes a second'), range('bytes_over_time', 'Bytes in the range'), range('absent_over_time', '1 when there is no line'), range('rate_counter', 'Rate of an unwrapped counter'), range('sum_over_time', 'Sum of unwrapped values'),
  range('avg_over_time', 'Mean of unwrapped values'), range('max_over_time', 'Largest unwrapped value'), range('min_over_time', 'Smallest unwrapped value'), range('first_over_time', 'First unwrapped value'), range('last_over_time', 'Last unwrapped value'), range('stddev_over_time', 'Standard deviation'), range('stdvar_over_time', 'Variance'),
  { name: 'quantile_over_time', detail: 'range', apply: 'quantile_over_time(0.99, ', info: 'Quantile of unwrapped values' },
];
export const vectorFunctions: WordDoc[] = ['sum', 'avg', 'min', 'max', 'count', 'stddev', 'stdvar', 'sort', 'sort_desc'].map((name) => ({ name, detail: 'aggregation' }))
  .concat([{ name: 'topk', detail: 'aggregation' }, { name: 'bottomk', detail: 'aggregation' }, { name: 'approx_topk', detail: 'aggregation' }, { name: 'label_replace', detail: 'function' }, { name: 'vector', detail: 'function' }]);
