import { useEffect, useRef, useState } from 'preact/hooks';
import { dateTime, short } from './format.ts';
import { Amount, Badge } from './ui.tsx';
import type { ProvenBalance } from './verify.ts';

type State =
  | { readonly kind: 'checking' }
  | { readonly kind: 'proven'; readonly balance: ProvenBalance }
  | { readonly kind: 'refused'; readonly why: string };

/** A balance that moves is proven again, but not more often than this. */
const REST_MS = 3_000;
/** Proofs of another balance than the one that is shown, while that stands still, after which it is no mere delay. */
const DIFFERENT_MAX = 2;

/** Whether a balance that is shown is one that the committee signed for, found out in this browser. */
export function Proven({ accountId, shownGrains }: { accountId: string; shownGrains: string }) {
  const [state, setState] = useState<State>({ kind: 'checking' });
  const [different, setDifferent] = useState(0);
  const restUntilMs = useRef(0);
  const shown = useRef(shownGrains);
  shown.current = shownGrains;
  useEffect(() => setState({ kind: 'checking' }), [accountId]);
  // Another balance begins a new count…
  useEffect(() => setDifferent(0), [accountId, shownGrains]);
  const askAgain = different > 0 && different < DIFFERENT_MAX;
  // …and asks for another proof.
  useEffect(() => {
    const prove = async (): Promise<void> => {
      restUntilMs.current = performance.now() + REST_MS;
      try {
        // Fetched when it is needed: keys, hashes and codecs are much of what this site weighs.
        const { proveBalance } = await import('./verify.ts');
        const balance = await proveBalance(accountId);
        setState({ kind: 'proven', balance });
        setDifferent((count) => (balance.balanceGrains === shown.current ? 0 : count + 1));
      } catch (error) {
        setState({ kind: 'refused', why: (error as Error).message });
      }
    };
    const timer = setTimeout(prove, Math.max(0, restUntilMs.current - performance.now()));
    return () => clearTimeout(timer);
  }, [accountId, shownGrains, askAgain]);
  if (state.kind === 'checking') return <p class="note">Checking the balance in this browser…</p>;
  if (state.kind === 'refused')
    return (
      <p class="proven">
        <Badge tone="bad">not verified</Badge> <span class="note">{state.why}</span>
      </p>
    );
  const { balance } = state;
  const isShown = balance.balanceGrains === shownGrains;
  const tone = isShown ? 'good' : different < DIFFERENT_MAX ? 'quiet' : 'bad';
  return (
    <p class="proven">
      <Badge tone={tone}>{isShown ? 'verified' : tone === 'bad' ? 'not what is shown' : 'verified'}</Badge>{' '}
      <span class="note">
        {!isShown && (
          <>
            <Amount grains={balance.balanceGrains} />{' '}
          </>
        )}
        in this browser, by the signatures of the committee under{' '}
        <a href={`/ledger/block/${balance.height}`} title={dateTime(balance.timestamp)}>
          block {balance.height}
        </a>{' '}
        of chain{' '}
        <span class="id" title={balance.chainId}>
          {short(balance.chainId)}
        </span>
      </span>
    </p>
  );
}
