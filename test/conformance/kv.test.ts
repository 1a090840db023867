import { TEST_ENGINES } from '../support/engines.js';
import { kvSuite } from './kv-suite.js';

for (const engine of TEST_ENGINES) kvSuite(engine);
