import { type AccountId, accountAddress, type ContractId } from '../../ledger/ids.ts';
import type { BlocktreeNode } from '../node.ts';
import { type PageOf, type PageRequest, pageOf } from './paging.ts';
import { presentContract } from './present.ts';
import type { ContractJson } from './schema/ledger.ts';

/** Those that came with a snapshot are numbered apart. */
const CONTRACT_KEY = /^\d{12}\.(\d{6}|s\d{9})$/;

/** Contracts, those that were opened last first: all, those of an account, or those on one side of which it is. */
export function pageOfContracts(
  node: BlocktreeNode,
  request: PageRequest,
  account?: AccountId,
  side?: 'renter' | 'host',
): Promise<PageOf<ContractJson>> {
  const prefix = account === undefined ? 'contracts/' : `contracts-of/${account}/`;
  const own = account === undefined ? undefined : accountAddress(account);
  return pageOf(
    request,
    CONTRACT_KEY,
    (after, limit) => node.chain.store.indexRange<ContractId>(prefix, { limit, reverse: true, after }),
    ({ key }) => key,
    ({ value }) => {
      const contract = presentContract(node, value);
      if (contract === undefined || side === undefined || own === undefined) return contract;
      return (side === 'host' ? contract.hostAccountId : contract.renterId) === own ? contract : undefined;
    },
  );
}
