// The log: pino on standard error, so that standard output is a command's own.

import { destination, type Logger, pino } from 'pino';
import pretty from 'pino-pretty';
import type { LogFormat, LogLevel } from './config.js';

/** @param format by default pretty on a terminal, JSON otherwise */
export function createLogger(level: LogLevel, format?: LogFormat): Logger {
  const chosen = format ?? (process.stderr.isTTY ? 'pretty' : 'json');
  const stream =
    chosen === 'pretty'
      ? pretty({ destination: 2, sync: true, ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l' })
      : destination({ fd: 2, sync: true });
  return pino({ level, timestamp: pino.stdTimeFunctions.isoTime }, stream);
}
