// mvfuse ns proof [FILE]: the access proof of a secret.

import { Command } from 'commander';
import { proofOf } from '../access-proof.js';
import { readSecret, readSecretFile } from './access-secrets.js';
import { jsonOption } from './options.js';
import { print, printJson } from './output.js';

const HELP = `
The secret is the bytes of the file, or of standard input; one final newline is not part of it, and after "hex:" come hex digits.
The proof is its BLAKE3. Make the secret long and random: whoever learns the proof can try short ones.

Examples:
  $ head -c 32 /dev/urandom > secret.key && chmod 600 secret.key
  $ mvfuse ns set test access-proof="$(mvfuse ns proof secret.key)"
  $ mvfuse --mountpoint ./dbs --namespaces mydb=test --access-secret-file secret.key
  $ echo hex:deadbeef | mvfuse ns proof`;

export function proofCommand(): Command {
  return new Command('proof')
    .description('print the access proof of a secret: 64 hex digits')
    .argument('[file]', 'holds the secret; standard input unless one is named, or -')
    .addOption(jsonOption())
    .addHelpText('after', HELP)
    .action(async (file: string | undefined, { json }: { json?: boolean }) => {
      const warn = (message: string) => process.stderr.write(`mvfuse: warning: ${message}\n`);
      const fromInput = file === undefined || file === '-';
      const secret = await (fromInput ? readSecret(process.stdin, 'standard input') : readSecretFile(file, warn));
      const proof = await proofOf(secret);
      secret.fill(0);
      if (json) printJson({ proof });
      else print(proof);
    });
}
