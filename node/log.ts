import { openSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Logger, pino } from 'pino';
import type { Settings } from './config/settings.ts';
import { NodeError } from './errors.ts';
import { diskError } from './storage/disk-error.ts';

/**
 * The log of a node: lines of JSON, to a file of mode 0600 or to standard error. Throws NodeError `bad-configuration`, and as
 * `diskError`.
 */
export function openLog(dataFolder: string, settings: Settings): Logger {
  const file = settings['log.file'];
  const level = settings['log.level'];
  // Line by line: none is lost when the process ends.
  const to = (dest: number) => pino({ level }, pino.destination({ dest, sync: true }));
  return to(file === '' ? 2 : openFile(resolve(dataFolder, file)));
}

function openFile(path: string): number {
  try {
    return openSync(path, 'a', 0o600);
  } catch (error) {
    const refused = diskError(path, error);
    if (refused !== undefined) throw refused;
    throw new NodeError(
      'bad-configuration',
      `log.file: expected a file in a folder that is there, got ${path} (${(error as Error).message})`,
    );
  }
}
