import { Budget } from '../../network/budget.ts';
import type { BlocktreeNode } from '../../node.ts';
import { ISSUANCE_FILE_BYTES_MAX, readRequest, writeAnswer } from '../../tpm/issuance-files.ts';
import { IssuerError } from '../../tpm/issuer-error.ts';
import { addressBlock } from '../address-block.ts';
import type { Console } from '../console.ts';
import { EndorsementAnswer, EndorsementRequest } from '../schema/tpm.ts';

/** Endorsements over the network: a chip asks an issuer's node, which answers what only that chip can open. */

/** What one address (IPv6: one /64) may ask. A chip needs one endorsement in its life. */
const REQUESTS_PER_ADDRESS = { max: 10, timeWindow: 60_000 };
/** What all addresses together may ask: bounds the work, and what the log grows by. */
const REQUESTS_PER_SECOND = 1;
const REQUESTS_BURST = 30;

export function issuerRoutes(app: Console, node: BlocktreeNode): void {
  const all = new Budget(REQUESTS_PER_SECOND, REQUESTS_BURST, performance.now());
  app.post(
    '/issuer/requests',
    {
      bodyLimit: ISSUANCE_FILE_BYTES_MAX,
      config: {
        role: 'anybody',
        rateLimit: { ...REQUESTS_PER_ADDRESS, keyGenerator: ({ ip }) => addressBlock(ip) },
      },
      schema: {
        tags: ['issuer'],
        description:
          'Endorses a chip, where this node is an issuer. The answer is encrypted to the chip that asks, and opens in no other.',
        body: EndorsementRequest,
        response: { 200: EndorsementAnswer },
      },
    },
    async (request) => {
      const { issuer } = node;
      if (issuer === undefined) throw new IssuerError('not-an-issuer', 'this node endorses no chips');
      const nowMs = performance.now();
      if (all.spend(0, nowMs) > 0)
        throw new IssuerError('overloaded', 'too many chips ask at the moment; try again in a minute');
      all.spend(1, nowMs);
      const answer = await issuer.endorse(readRequest(request.body));
      node.logger.info({ ekId: answer.ekId }, 'a chip was endorsed');
      return writeAnswer(answer);
    },
  );
}
