// What a transaction asks an engine to change: a list, applied in order at the commit's version.

export type Mutation =
  | { readonly kind: 'set'; readonly key: Buffer; readonly value: Buffer }
  | { readonly kind: 'clear'; readonly key: Buffer }
  | { readonly kind: 'clearRange'; readonly begin: Buffer; readonly end: Buffer }
  | { readonly kind: 'setStampedKey'; readonly prefix: Buffer; readonly suffix: Buffer; readonly value: Buffer }
  | { readonly kind: 'setStampedValue'; readonly key: Buffer; readonly prefix: Buffer; readonly suffix: Buffer };

/** A mutation whose version is filled in. */
export type ResolvedMutation = Exclude<Mutation, { kind: 'setStampedKey' | 'setStampedValue' }>;

export function resolveMutation(mutation: Mutation, version: Buffer): ResolvedMutation {
  switch (mutation.kind) {
    case 'setStampedKey':
      return { kind: 'set', key: Buffer.concat([mutation.prefix, version, mutation.suffix]), value: mutation.value };
    case 'setStampedValue':
      return { kind: 'set', key: mutation.key, value: Buffer.concat([mutation.prefix, version, mutation.suffix]) };
    default:
      return mutation;
  }
}
