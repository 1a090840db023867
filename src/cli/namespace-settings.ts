// mvfuse ns set: what is kept of a namespace and for how long, who may mount it, and who may use its file.

import { Command } from 'commander';
import type { StoreService } from '../admin/store-service.js';
import { parseFileMode } from '../config.js';
import { MvfuseError } from '../errors.js';
import { parseSpan } from '../moment.js';
import type { RetentionPolicy } from '../store/types.js';
import { describeNamespace, formatPolicy } from './describe-namespace.js';
import { addServiceOptions, jsonOption, type ServiceOptions } from './options.js';
import { print, printJson } from './output.js';
import { withService } from './store-access.js';

interface Options extends ServiceOptions {
  readonly default?: boolean;
  readonly json?: boolean;
}

/** What the words ask for; undefined is left as it is. */
export interface Settings {
  /** `forever` and `default` stand for the whole policy. */
  readonly policy: 'forever' | 'default' | undefined;
  readonly keepMs: number | undefined;
  readonly keepVersions: number | 'none' | undefined;
  readonly accessProof: string | 'none' | undefined;
  readonly mode: number | 'default' | undefined;
}

const KEYS = ['keep', 'keep-versions', 'access-proof', 'mode'];

const HELP = `
Settings:
  keep=<time>            versions that were the newest at some time in the last 30d, 12h, 90m, …
  keep-versions=<n>      the newest n versions; none takes this away again
  keep=forever           every version
  keep=default           what the store says, which --default sets (every version, unless it was set)
  access-proof=<digits>  a mount must present the secret that mvfuse ns proof made these 64 hex digits of
  access-proof=none      it need not
  mode=<octal>           who may read and write the file on every mount, as chmod says it: 640, 600, …
  mode=default           what each mount says (--mode)

A version is kept where keep or keep-versions keeps it, and always while a tag, a fork, a maintenance lock or a reader needs
it. A running daemon removes the others within seconds; mvfuse gc does so at once.

Examples:
  $ mvfuse ns set test keep=30d keep-versions=100
  $ mvfuse ns set test keep=default
  $ mvfuse ns set --default keep=90d
  $ mvfuse ns set test access-proof="$(mvfuse ns proof secret.txt)"`;

export function settingsCommand(): Command {
  return addServiceOptions(new Command('set'))
    .description('change what is kept of a namespace, and who may mount and use it')
    .argument('<words...>', 'its name, unless with --default, and key=value settings')
    .option('--default', 'the policy of namespaces that have none of their own')
    .addOption(jsonOption())
    .addHelpText('after', HELP)
    .action(async (words: string[], options: Options) => {
      const isDefault = options.default === true;
      const settings = parseSettings(isDefault ? words : words.slice(1));
      await withService(options, (service) =>
        isDefault ? setDefault(service, settings, options) : setNamespace(service, words[0]!, settings, options),
      );
    });
}

async function setDefault(service: StoreService, settings: Settings, { json }: Options): Promise<void> {
  if (settings.accessProof !== undefined) throw invalid('an access proof belongs to one namespace: name it');
  if (settings.mode !== undefined) throw invalid('a mode belongs to one namespace: name it');
  await service.setRetention(undefined, changedPolicy(settings, await service.defaultRetention()));
  const retention = await service.defaultRetention();
  if (json) printJson({ retention });
  else print(`namespaces without a policy of their own: ${formatPolicy(retention)}`);
}

async function setNamespace(service: StoreService, name: string, settings: Settings, { json }: Options): Promise<void> {
  const { policy, keepMs, keepVersions, accessProof, mode } = settings;
  if (policy !== undefined || keepMs !== undefined || keepVersions !== undefined) {
    const { retention, hasOwnRetention } = await service.statNamespace(name);
    await service.setRetention(name, changedPolicy(settings, hasOwnRetention ? retention : {}));
  }
  if (accessProof !== undefined) await service.setAccessProof(name, accessProof === 'none' ? undefined : accessProof);
  if (mode !== undefined) await service.setMode(name, mode === 'default' ? undefined : mode);
  const details = await service.statNamespace(name);
  if (json) printJson(details);
  else print(await describeNamespace(service, details));
}

function changedPolicy({ policy, keepMs, keepVersions }: Settings, now: RetentionPolicy): RetentionPolicy | undefined {
  if (policy === 'default') return undefined;
  if (policy === 'forever') return {};
  const [time, versions] = [keepMs ?? now.keepMs, keepVersions ?? now.keepVersions];
  return {
    ...(time === undefined ? {} : { keepMs: time }),
    ...(versions === undefined || versions === 'none' ? {} : { keepVersions: versions }),
  };
}

/** @throws INVALID_ARGUMENT naming the setting that is wrong */
export function parseSettings(words: readonly string[]): Settings {
  const values = new Map<string, string>();
  for (const word of words) {
    const [, key, value] = /^([a-z-]+)=(.*)$/s.exec(word) ?? [];
    if (key === undefined || value === undefined)
      throw invalid(`"${word}" is no setting: key=value is needed, such as keep=30d`);
    if (values.has(key)) throw invalid(`${key} is given twice`);
    values.set(key, value);
  }
  if (values.size === 0) throw invalid('there is nothing to set: keep=30d, for example; see --help');
  const [keep, versions, accessProof, mode] = KEYS.map((key) => values.get(key));
  const unknown = [...values.keys()].find((key) => !KEYS.includes(key));
  if (unknown !== undefined)
    throw invalid(`"${unknown}" cannot be set: keep, keep-versions, access-proof and mode can`);
  const policy = keep === 'forever' || keep === 'default' ? keep : undefined;
  if (policy !== undefined && versions !== undefined)
    throw invalid(`keep=${policy} is a policy by itself: leave keep-versions out`);
  return {
    policy,
    keepMs: keep === undefined || policy !== undefined ? undefined : parseSpan(keep),
    keepVersions: versions === undefined || versions === 'none' ? versions : parseVersions(versions),
    accessProof: accessProof === undefined || accessProof === 'none' ? accessProof : parseProof(accessProof),
    mode: mode === undefined || mode === 'default' ? mode : parseFileMode(mode),
  };
}

function parseVersions(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count >= 1 && Number.isSafeInteger(count)) return count;
  throw invalid(`keep-versions=${text} is no number of versions: 1 at least, or none`);
}

function parseProof(text: string): string {
  if (/^[0-9a-f]{64}$/i.test(text)) return text.toLowerCase();
  // Somebody may have put the secret itself here: it is not repeated.
  throw invalid('access-proof needs the 64 hex digits that mvfuse ns proof prints, or none');
}

function invalid(message: string): MvfuseError {
  return new MvfuseError('INVALID_ARGUMENT', message);
}
