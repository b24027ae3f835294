// Entry of the app.
import { render } from 'preact';
import 'uplot/dist/uPlot.min.css';
import './styles/base.css';
import './styles/controls.css';
import './styles/dashboard.css';
import './styles/panels.css';
import './styles/pages.css';
import { App, registerShortcuts } from './shell/app';
import { startShortcuts } from './shell/keys';
import { startRouter } from './shell/router';
import { startTheme } from './shell/state';

startTheme();
startRouter();
registerShortcuts();
startShortcuts();
render(<App />, document.getElementById('app')!);
