import { TEST_ENGINES } from '../support/engines.js';
import { droppedSuite } from './dropped-suite.js';

for (const engine of TEST_ENGINES) droppedSuite(engine);
