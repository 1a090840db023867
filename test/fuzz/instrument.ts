// A module loader hook that counts what runs in src/sqlite, as coverage-guided fuzzing needs it: each place where control
// goes one of several ways gets a counter, and each comparison of numbers shows its operands. No released fuzzer does
// that for JavaScript on every machine that mvfuse runs on (docs/testing.md), and V8's own coverage costs a
// thousand times what a parser does.

import type { LoadHook } from 'node:module';
import ts from 'typescript';

/** What the instrumented code writes to; it must be there before that code is loaded. */
export interface Observed {
  /** How often each place ran. */
  counts: Uint32Array;
  /** By comparison: how near its two sides came. An input that brings them nearer is a step towards the other way. */
  nearest: Float64Array;
  /** Given each pair of numbers that was compared. */
  onCompare: ((left: number, right: number) => void) | undefined;
}
export const PLACES_MAX = 128;

const { factory } = ts;
const COMPARISONS = new Set(['===', '!==', '<', '<=', '>', '>=']);
const PRELUDE = `const $observed = globalThis.mvfuseObserved, $counts = $observed.counts;
const $see = (comparison, left, right) => {
  if (typeof left !== 'number' || typeof right !== 'number') return;
  const distance = Math.abs(left - right);
  if (distance < $observed.nearest[comparison]) $observed.nearest[comparison] = distance;
  $observed.onCompare?.(left, right);
};
`;
let places = 0;
let comparisons = 0;

function countHere(): ts.Expression {
  if (places === PLACES_MAX) throw new Error('more places than counters');
  const counter = factory.createElementAccessExpression(factory.createIdentifier('$counts'), places);
  places += 1;
  return factory.createPostfixIncrement(counter);
}

function counted(statement: ts.Statement): ts.Block {
  const statements = ts.isBlock(statement) ? statement.statements : [statement];
  return factory.createBlock([factory.createExpressionStatement(countHere()), ...statements], true);
}

function countedValue(value: ts.Expression): ts.Expression {
  return factory.createParenthesizedExpression(factory.createComma(countHere(), value));
}

/** `a < b` becomes a call that shows both and compares them. */
function compared(node: ts.BinaryExpression): ts.Expression {
  if (comparisons === PLACES_MAX) throw new Error('more comparisons than counters');
  const comparison = factory.createNumericLiteral(comparisons);
  comparisons += 1;
  const [left, right] = [factory.createIdentifier('$left'), factory.createIdentifier('$right')];
  const see = factory.createCallExpression(factory.createIdentifier('$see'), undefined, [comparison, left, right]);
  const parameters = [left, right].map((name) => factory.createParameterDeclaration(undefined, undefined, name));
  const compare = factory.createParenthesizedExpression(
    factory.createComma(see, factory.createBinaryExpression(left, node.operatorToken, right)),
  );
  const call = factory.createArrowFunction(undefined, undefined, parameters, undefined, undefined, compare);
  return factory.createCallExpression(factory.createParenthesizedExpression(call), undefined, [node.left, node.right]);
}

function withCounters(node: ts.Node): ts.Node {
  if (ts.isIfStatement(node)) {
    const otherwise = counted(node.elseStatement ?? factory.createBlock([]));
    return factory.updateIfStatement(node, node.expression, counted(node.thenStatement), otherwise);
  }
  if (ts.isForStatement(node)) {
    return factory.updateForStatement(
      node,
      node.initializer,
      node.condition,
      node.incrementor,
      counted(node.statement),
    );
  }
  if (ts.isForOfStatement(node)) {
    return factory.updateForOfStatement(
      node,
      node.awaitModifier,
      node.initializer,
      node.expression,
      counted(node.statement),
    );
  }
  if (ts.isWhileStatement(node)) return factory.updateWhileStatement(node, node.expression, counted(node.statement));
  if (ts.isConditionalExpression(node)) {
    const [yes, no] = [countedValue(node.whenTrue), countedValue(node.whenFalse)];
    return factory.updateConditionalExpression(node, node.condition, node.questionToken, yes, node.colonToken, no);
  }
  if (ts.isArrowFunction(node) && !ts.isBlock(node.body)) {
    const { modifiers, typeParameters, parameters, type, equalsGreaterThanToken } = node;
    const body = countedValue(node.body);
    return factory.updateArrowFunction(node, modifiers, typeParameters, parameters, type, equalsGreaterThanToken, body);
  }
  if (ts.isBinaryExpression(node)) {
    const operator = ts.tokenToString(node.operatorToken.kind)!;
    if (COMPARISONS.has(operator)) return compared(node);
    if (operator === '&&' || operator === '||' || operator === '??') {
      return factory.updateBinaryExpression(node, node.left, node.operatorToken, countedValue(node.right));
    }
  }
  return node;
}

const transformer: ts.TransformerFactory<ts.SourceFile> = (context) => (file) => {
  // Children first, so that nothing that was inserted is visited.
  const visit = (node: ts.Node): ts.Node => withCounters(ts.visitEachChild(node, visit, context));
  return ts.visitEachChild(file, visit, context);
};

export const load: LoadHook = async (url, context, nextLoad) => {
  const loaded = await nextLoad(url, context);
  if (!url.includes('/src/sqlite/')) return loaded;
  const { outputText } = ts.transpileModule(String(loaded.source), {
    compilerOptions: { target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.ESNext },
    transformers: { before: [transformer] },
  });
  return { ...loaded, source: PRELUDE + outputText };
};
