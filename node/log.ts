import { isAbsolute, join } from 'node:path';
import { type Logger, pino } from 'pino';
import type { Settings } from './config/settings.ts';

/** The log of a node: lines of JSON, to a file of mode 0600 or to standard error. */
export function openLog(dataFolder: string, settings: Settings): Logger {
  const file = settings['log.file'];
  const level = settings['log.level'];
  if (file === '') return pino({ level }, pino.destination(2));
  return pino(
    { level },
    pino.destination({ dest: isAbsolute(file) ? file : join(dataFolder, file), mkdir: true, mode: 0o600 }),
  );
}
