import { NodeError } from '../errors.ts';

/**
 * What a disk or the system refuses, in words that say what to do; `undefined` for what is neither. Takes errors of Node and
 * those of LevelDB, which only carry the system's text.
 */
export function diskError(where: string, error: unknown): NodeError | undefined {
  if (error instanceof NodeError) return error;
  const { code, message } = causeOf(error);
  const refused = (what: string): NodeError => new NodeError('no-access', what, { cause: error });
  const is = (pattern: RegExp, ...codes: readonly string[]): boolean =>
    codes.includes(code ?? '') || pattern.test(message);
  if (is(/No space left on device|Disk quota exceeded/, 'ENOSPC', 'EDQUOT'))
    return new NodeError(
      'disk-full',
      `the disk with ${where} is full: make room and start the node again; what was final is safe`,
      { cause: error },
    );
  if (is(/Read-only file system/, 'EROFS'))
    return refused(
      `the disk with ${where} is mounted read-only: a node writes there; mount it for writing, or look why the system stopped doing so`,
    );
  if (is(/Permission denied|Operation not permitted/, 'EACCES', 'EPERM'))
    return refused(
      `this user may not read and write all of ${where} (${message}): give it to the user that runs the node, as with "chown -R USER ${where}"`,
    );
  if (is(/Too many open files/, 'EMFILE', 'ENFILE'))
    return refused(`too many files are open to open ${where}: raise the limit ("ulimit -n")`);
  if (is(/Input\/output error/, 'EIO'))
    return new NodeError(
      'disk-failed',
      `the disk with ${where} fails (${message}): look after the disk, then "blocktree ledger verify"`,
      { cause: error },
    );
  return undefined;
}

/** The innermost error: LevelDB's are wrapped. */
function causeOf(error: unknown): NodeJS.ErrnoException {
  const outer = error instanceof Error ? error : new Error(String(error));
  return outer.cause instanceof Error ? causeOf(outer.cause) : outer;
}
