// Access proofs: a namespace may name the BLAKE3 of a secret, and whoever mounts it must present that secret.
//
// Secrets are kept no longer than it takes to make their digests, and never put into words.

import { timingSafeEqual } from 'node:crypto';
import { MvfuseError } from './errors.js';

/** The proof of a secret: 64 hex digits. */
export async function proofOf(secret: Uint8Array): Promise<string> {
  return (await digestOf(secret)).toString('hex');
}

/** What a mount presents. */
export class AccessSecrets {
  readonly #digests: readonly Buffer[];

  private constructor(digests: readonly Buffer[]) {
    this.#digests = digests;
  }

  /** The bytes of the secrets are overwritten. */
  static async present(secrets: readonly Uint8Array[]): Promise<AccessSecrets> {
    const digests = await Promise.all(secrets.map(digestOf));
    for (const secret of secrets) secret.fill(0);
    return new AccessSecrets(digests);
  }

  /**
   * Takes as long whatever the secrets are, for as many of them.
   * @param proof of the namespace; undefined where it needs none
   * @throws ACCESS_DENIED naming the namespace and the way in
   */
  require(namespace: string, proof: string | undefined): void {
    if (proof === undefined) return;
    const wanted = Buffer.from(proof, 'hex');
    const fitting = this.#digests.filter(
      (digest) => digest.length === wanted.length && timingSafeEqual(digest, wanted),
    );
    if (fitting.length > 0) return;
    const found = this.#digests.length === 0 ? 'none was presented' : 'none that was presented is its secret';
    throw new MvfuseError(
      'ACCESS_DENIED',
      `namespace "${namespace}" is protected, and ${found}: use --access-secret-file FILE, or MVFUSE_ACCESS_SECRET`,
    );
  }
}

async function digestOf(secret: Uint8Array): Promise<Buffer> {
  // Few stores have protected namespaces.
  const { blake3 } = await import('@noble/hashes/blake3.js');
  return Buffer.from(blake3(secret));
}
