export type NetworkErrorCode =
  | 'unreachable'
  | 'timeout'
  | 'refused'
  | 'overloaded'
  | 'too-large'
  | 'malformed'
  | 'closed'
  | 'gone'
  | 'bad-hello'
  | 'self'
  | 'twin'
  | 'not-admitted'
  | 'remote'
  | 'address-in-use';

/** What can go wrong between nodes. For `remote`, `remoteCode` is the code the other side gave. */
export class NetworkError extends Error {
  readonly code: NetworkErrorCode;
  readonly remoteCode: string | undefined;
  constructor(code: NetworkErrorCode, message: string, remoteCode?: string) {
    super(message);
    this.name = 'NetworkError';
    this.code = code;
    this.remoteCode = remoteCode;
  }
}
