import { openSoftwareTpm } from './software.ts';
import { type Tpm, TpmError } from './tpm.ts';

/**
 * Opens the TPM that the operator named: `software:FILE`, on development networks only. Throws TpmError: `unsupported`
 * for what this network does not take, `unavailable` for what is no TPM address.
 */
export async function openTpm(spec: string, chainKind: 'public' | 'dev'): Promise<Tpm> {
  if (spec.startsWith('software:')) {
    if (chainKind !== 'dev')
      throw new TpmError('unsupported', 'a software TPM counts on development networks only');
    return openSoftwareTpm(spec.slice('software:'.length));
  }
  throw new TpmError('unavailable', `"${spec}" is no TPM address`);
}
