import { TpmError, type TpmErrorCode } from './tpm.ts';

/** Response codes (TPM_RC, Part 2 §6.6) that are acted on. Format-one codes stand without their parameter number. */
export const RC = {
  success: 0x000,
  initialize: 0x100,
  handle: 0x08b,
  yielded: 0x908,
  testing: 0x90a,
  retry: 0x922,
} as const;

const MEANING: ReadonlyMap<number, readonly [TpmErrorCode, string]> = new Map([
  [0x08e, ['bad-auth', 'the password was refused']],
  [0x0a2, ['bad-auth', 'the password was refused']],
  [0x09f, ['integrity', 'the integrity check failed']],
  [0x083, ['unsupported', 'the chip lacks an algorithm']],
  [0x092, ['unsupported', 'the chip lacks a signature scheme']],
  [0x096, ['unsupported', 'the chip lacks a cipher']],
  [0x0a6, ['unsupported', 'the chip lacks a curve']],
  [0x101, ['io', 'the chip is in failure mode']],
  [0x143, ['unsupported', 'the chip lacks a command']],
  [0x902, ['object-memory', 'the chip has no room for another object']],
  [0x903, ['object-memory', 'the chip has no room for another session']],
  [0x904, ['object-memory', 'the chip is out of memory']],
  [0x905, ['object-memory', 'the chip has no handle for another session']],
  [0x920, ['busy', 'the chip limits how often it is written']],
  [0x921, ['lockout', 'the chip is locked']],
  [RC.retry, ['busy', 'the chip keeps asking to be asked again']],
  [RC.yielded, ['busy', 'the chip keeps asking to be asked again']],
  [RC.testing, ['busy', 'the chip is still testing itself']],
]);

/** A format-one code (bit 7) without the number of the parameter, handle or session that it blames. */
export function baseCode(responseCode: number): number {
  return (responseCode & 0x80) !== 0 ? responseCode & 0xbf : responseCode;
}

/** Whether the chip asks for the same command again. */
export function wantsRetry(responseCode: number): boolean {
  return responseCode === RC.retry || responseCode === RC.yielded || responseCode === RC.testing;
}

export function responseError(command: string, responseCode: number): TpmError {
  const [code, meaning] = MEANING.get(baseCode(responseCode)) ?? ['io', 'the chip refused'];
  return new TpmError(code, `${command}: ${meaning} (0x${responseCode.toString(16)})`, responseCode);
}
