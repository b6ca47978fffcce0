import { Problem } from '../api.ts';

/** What to do when a step to the claim goes wrong, by the problem's code; the node's own words stand before it. */
const ADVICE: Readonly<Record<string, string>> = {
  'emulator-refused': 'Use a machine with a real TPM, or an issuer of a network for tests.',
  'software-refused': 'Use a machine with a real TPM.',
  'certificate-untrusted':
    'Ask the issuer to trust this maker, or bring the certificates in between: “blocktree tpm request --certificate FILE”.',
  'certificate-missing':
    'The maker offers the certificate on its site for such chips; bring it along: “blocktree tpm request --certificate FILE”.',
  'certificate-expired':
    'Check the clock of the issuer; if it is right, the maker has to certify the chip anew.',
  'certificate-other-key': 'Bring the certificate of this very chip.',
  'denomination-changed': 'Ask the issuer for an endorsement as before.',
  'wrong-chain': 'The answer is for another network: ask an issuer of this one.',
  'wrong-chip': 'The answer was made for another machine: save this machine’s request and send that.',
  'bad-file': 'Take the file as the issuer sent it; if it was changed on its way, ask again.',
  'issuer-address': 'The issuer of the network tells its address; it begins with https://.',
  'issuer-unreachable': 'Check the address and the connection, or save the request and send it by mail.',
  'not-an-issuer': 'This node endorses no chips; ask for the address of one that does.',
  overloaded: 'Try again in a minute.',
  'issuer-refused': 'Ask the issuer why, or try again later.',
  'not-endorsed':
    'The block of the claim is not kept here any more: ask the issuer again, “blocktree tpm request --issuer ADDRESS”.',
  'already-claimed': 'A chip is claimed once for ever. Whoever claimed it keeps what it brought.',
  'insufficient-balance': 'Binding costs a small fee: have somebody send a little to this account first.',
};

/** The answer of a step; what it throws says what to do as well. */
export async function advised<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const advice = ADVICE[error.code];
    throw advice === undefined
      ? error
      : new Problem(error.status, error.code, `${sentence(error.message)} ${advice}`);
  }
}

/** With a capital and a full stop: the node's words are parts of sentences. */
function sentence(text: string): string {
  const capital = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}
