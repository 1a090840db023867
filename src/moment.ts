// A moment of a namespace's history, as people write it after an "@": a version, a tag, `latest`, a time, or how long ago.
//
// Pure: which version that is, the store knows (store/moments.ts).

import { MvfuseError } from './errors.js';
import { TAG_NAME_BYTES_MAX } from './limits.js';
import { isVersion, type Version } from './version.js';

export type Moment =
  | { readonly kind: 'latest' }
  | { readonly kind: 'version'; readonly version: Version }
  | { readonly kind: 'tag'; readonly name: string }
  /** ms since 1970. */
  | { readonly kind: 'time'; readonly timeMs: number }
  | { readonly kind: 'ago'; readonly agoMs: number };

export const LATEST: Moment = { kind: 'latest' };

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};
const DURATION = /^(?:\d+(?:ms|s|m|h|d|w))+$/;
const DATE =
  /^(\d{4})-(\d{2})-(\d{2})(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?([Zz]|[+-]\d{2}(?::?\d{2})?)?)?$/;
const EXAMPLES =
  'a moment is a version (20 hex digits), a tag, latest, a time such as 2026-11-20T10:00:00Z, 2026-11-20 or one with a zone (+01:00), or how long ago, such as -5m, -2h30m or -1d';
/** Names that SQLite makes of a file's name must never cost a look into the store. */
const FILE_OF_SQLITE = /-(?:journal|wal|shm|mj[0-9A-F]{9})$/;
// "/" ends a file name, "@" begins a moment, "," and "=" separate mappings.
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const REFUSED_IN_TAGS = /[\u0000-\u0020\u007f-\u009f@,=/\\]/u;

/**
 * What follows the "@". A time without a zone is UTC, as the log prints it; a date alone is its first moment.
 * @throws INVALID_ARGUMENT saying what a moment looks like
 */
export function parseMoment(text: string): Moment {
  if (text === 'latest') return LATEST;
  const lower = text.toLowerCase();
  if (isVersion(lower)) return { kind: 'version', version: lower };
  if (text.startsWith('-')) return { kind: 'ago', agoMs: parseAgo(text) };
  if (/^\d{4}-\d/.test(text)) return { kind: 'time', timeMs: parseTime(text) };
  validateTagName(text);
  return { kind: 'tag', name: text };
}

/** As parseMoment reads it. */
export function formatMoment(moment: Moment): string {
  switch (moment.kind) {
    case 'latest':
      return 'latest';
    case 'version':
      return moment.version;
    case 'tag':
      return moment.name;
    case 'time':
      return new Date(moment.timeMs).toISOString();
    case 'ago':
      return `-${formatDuration(moment.agoMs)}`;
  }
}

/** @throws INVALID_ARGUMENT for a name that reads as another kind of moment, or cannot be part of a file name */
export function validateTagName(name: string): void {
  const wrong = (reason: string): never => {
    throw new MvfuseError('INVALID_ARGUMENT', `"${name}" cannot be a tag: ${reason}; ${EXAMPLES}`);
  };
  if (name === '') wrong('it is empty');
  if (name === 'latest' || isVersion(name.toLowerCase())) wrong('it reads as another moment');
  if (!/^[\p{L}_]/u.test(name)) wrong('it does not begin with a letter');
  if (name.startsWith('lock:')) wrong('names that begin with "lock:" are kept for maintenance locks');
  if (REFUSED_IN_TAGS.test(name) || /\p{Surrogate}/u.test(name))
    wrong('spaces, control characters, "/", "\\", "@", "," and "=" are not allowed');
  if (FILE_OF_SQLITE.test(name)) wrong("SQLite's own files end like this");
  if (Buffer.byteLength(name) > TAG_NAME_BYTES_MAX) wrong(`it is longer than ${TAG_NAME_BYTES_MAX} bytes`);
}

/** Milliseconds: `30d`, `2h30m`. @throws INVALID_ARGUMENT */
export function parseSpan(text: string): number {
  let ms = 0;
  for (const [, digits, unit] of text.matchAll(/(\d+)(ms|s|m|h|d|w)/g)) ms += Number(digits) * UNITS_MS[unit!]!;
  if (DURATION.test(text) && Number.isSafeInteger(ms)) return ms;
  throw new MvfuseError('INVALID_ARGUMENT', `"${text}" is no length of time, such as 30d, 2h30m or 90s`);
}

/** As parseSpan reads it, in the largest units. */
export function formatDuration(ms: number): string {
  let rest = ms;
  let text = '';
  for (const [unit, unitMs] of Object.entries(UNITS_MS).reverse()) {
    const count = Math.floor(rest / unitMs);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * unitMs;
  }
  return text === '' ? '0s' : text;
}

function parseAgo(text: string): number {
  try {
    return parseSpan(text.slice(1));
  } catch (cause) {
    throw new MvfuseError('INVALID_ARGUMENT', `"${text}" says no time ago: ${EXAMPLES}`, { cause });
  }
}

/** @throws INVALID_ARGUMENT for a day or time that does not exist */
export function parseTime(text: string): number {
  const match = DATE.exec(text);
  const wrong = new MvfuseError('INVALID_ARGUMENT', `"${text}" is no time: ${EXAMPLES}`);
  if (match === null) throw wrong;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0)) as number[];
  const ms = Number((match[7] ?? '').padEnd(3, '0').slice(0, 3));
  const date = new Date(Date.UTC(year!, month! - 1, day!, hour!, minute!, second!, ms));
  date.setUTCFullYear(year!);
  const isReal =
    date.getUTCMonth() === month! - 1 &&
    date.getUTCDate() === day &&
    date.getUTCHours() === hour &&
    date.getUTCMinutes() === minute &&
    date.getUTCSeconds() === second;
  if (!isReal) throw wrong;
  return date.getTime() - zoneMs(match[8] ?? 'Z', wrong);
}

function zoneMs(zone: string, wrong: MvfuseError): number {
  if (zone.toUpperCase() === 'Z') return 0;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(3).replace(':', '') || 0);
  if (hours > 14 || minutes > 59) throw wrong;
  return (zone.startsWith('-') ? -1 : 1) * (hours * UNITS_MS.h! + minutes * UNITS_MS.m!);
}
