/** What can go wrong in this room, as stable codes; mapped once to exit codes and HTTP. */
export type NodeErrorCode =
  | 'data-damaged'
  | 'data-in-use'
  | 'data-of-another-chain'
  | 'no-access'
  | 'disk-full'
  | 'disk-failed'
  | 'not-initialised'
  | 'already-initialised'
  | 'bad-configuration'
  | 'address-in-use'
  | 'bad-folder'
  | 'not-running'
  | 'timeout'
  | 'unknown-outcome'
  | 'exists'
  | 'not-found'
  | 'not-synced'
  | 'pruned'
  | 'file-damaged'
  | 'not-a-file'
  | 'not-installed'
  | 'no-tpm'
  | 'no-passphrase'
  | 'emulator-failed';

/** The one error class of this room. `message` says what was expected and what to do. */
export class NodeError extends Error {
  readonly code: NodeErrorCode;
  constructor(code: NodeErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'NodeError';
    this.code = code;
  }
}
