import { TEST_ENGINES } from '../support/engines.js';
import { storeSuite } from './store-suite.js';

for (const engine of TEST_ENGINES) storeSuite(engine);
