import { TEST_ENGINES } from '../support/engines.js';
import { historySuite } from './history-suite.js';

for (const engine of TEST_ENGINES) historySuite(engine);
