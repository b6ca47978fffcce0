import { isAbsolute } from 'node:path';
import { Chip } from './chip.ts';
import { openSoftwareTpm } from './software.ts';
import { type Tpm, TpmError } from './tpm.ts';
import { openDevice, openSocket, type TpmTransport } from './transport.ts';

/** What names a TPM, for help texts and error messages. */
const TPM_ADDRESSES = '/dev/tpmrm0, unix:PATH, tcp:127.0.0.1:PORT or software:FILE';

/**
 * Opens the TPM that the operator named, one of `TPM_ADDRESSES`, and makes sure that it answers. `software:` is for
 * development networks. Throws TpmError: `unsupported` for what this network does not take, `unavailable` for what is
 * no TPM's address or does not answer, `permission`, `busy`, `timeout`, `io`.
 */
export async function openTpm(spec: string, chainKind: 'public' | 'dev'): Promise<Tpm> {
  if (spec.startsWith('software:')) {
    if (chainKind !== 'dev')
      throw new TpmError('unsupported', 'a software TPM counts on development networks only');
    return openSoftwareTpm(spec.slice('software:'.length));
  }
  const connect = connector(spec);
  if (connect === undefined)
    throw new TpmError('unavailable', `"${spec}" is no TPM address (expected ${TPM_ADDRESSES})`);
  const chip = new Chip(connect);
  await chip.info();
  return chip;
}

function connector(spec: string): (() => Promise<TpmTransport>) | undefined {
  const path = spec.startsWith('unix:') ? spec.slice('unix:'.length) : undefined;
  if (path !== undefined) return isAbsolute(path) ? () => openSocket({ path }) : undefined;
  const tcp = /^tcp:(127\.0\.0\.1|localhost|\[::1\]):(\d{1,5})$/.exec(spec);
  if (tcp !== null) {
    const host = (tcp[1] as string).replace(/[[\]]/g, '');
    const port = Number(tcp[2]);
    return port > 0 && port < 65_536 ? () => openSocket({ host, port }) : undefined;
  }
  return isAbsolute(spec) ? () => openDevice(spec) : undefined;
}
