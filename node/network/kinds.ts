/** Kinds of messages between nodes, one list so that none is used twice. */
export const KIND = {
  records: 1,
  consensus: 16,
  transaction: 17,
  getHeaders: 18,
  getBlocks: 19,
  admission: 20,
  getStates: 21,
  getChunk: 22,
  storeFragment: 32,
  fetchFragment: 33,
  signTerms: 34,
  signRevision: 35,
  challenge: 36,
  receipt: 37,
  signClose: 38,
  quote: 39,
} as const;
