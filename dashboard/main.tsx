import { render } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import {
  call,
  closeEvents,
  type Earnings as EarningsData,
  onLoggedOut,
  openEvents,
  type Problem,
  useApi,
  useLive,
} from './api.ts';
import { grainsText } from './format.ts';
import { Earnings } from './pages/earnings.tsx';
import { Files } from './pages/files.tsx';
import { Ledger } from './pages/ledger.tsx';
import { LedgerDetail } from './pages/ledger-detail.tsx';
import { Network } from './pages/network.tsx';
import { Overview } from './pages/overview.tsx';
import { Settings } from './pages/settings.tsx';
import { Storage } from './pages/storage.tsx';
import { Wallet } from './pages/wallet.tsx';
import { go, interceptLinks, usePath } from './router.ts';
import './style/look.css';
import './style/frame.css';
import './style/cards.css';
import './style/tables.css';
import './style/controls.css';
import './style/drawings.css';
import './style/phone.css';
import { applyTheme } from './theme.ts';
import { Amount, Empty, Icon } from './ui.tsx';

const PAGES = [
  ['/', 'Overview', Overview],
  ['/earnings', 'Earnings', Earnings],
  ['/storage', 'Storage', Storage],
  ['/files', 'Files', Files],
  ['/ledger', 'Ledger', Ledger],
  ['/wallet', 'Wallet', Wallet],
  ['/network', 'Network', Network],
  ['/settings', 'Settings', Settings],
] as const;

const LIVE_TEXT = { live: 'Live', connecting: 'Connecting', offline: 'Offline: trying again' } as const;

function Total() {
  const earnings = useApi<EarningsData>('/host/earnings');
  return (
    <a href="/earnings" class="total">
      <span class="note">Earned</span>{' '}
      {earnings.data === undefined ? (
        '…'
      ) : (
        <>
          <Amount grains={earnings.data.totalGrains} />
          <span class="exact">{grainsText(earnings.data.totalGrains)}</span>
        </>
      )}
    </a>
  );
}

function Shell() {
  const path = usePath();
  const live = useLive();
  const detail = /^\/ledger\/(\w+)\/(.+)$/.exec(path);
  const current = PAGES.find(([address]) => address === path) ?? (detail === null ? undefined : PAGES[4]);
  const title = current?.[1] ?? 'Not found';
  useEffect(() => {
    document.title = `${title} · Blocktree`;
    document.querySelector('nav [aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'nearest' });
  }, [title]);
  const Content = current?.[2];
  return (
    <>
      <a class="skip" href="#main">
        Skip to content
      </a>
      <header class="top">
        <a href="/" class="brand">
          <img src="/icon.svg" alt="" width="28" height="28" /> Blocktree
        </a>
        <Total />
        <span class="live" data-state={live} role="status">
          {LIVE_TEXT[live]}
        </span>
      </header>
      <nav aria-label="Pages">
        {PAGES.map(([address, name]) => (
          <a key={address} href={address} aria-current={current?.[0] === address ? 'page' : undefined}>
            <Icon name={name} />
            <span>{name}</span>
          </a>
        ))}
      </nav>
      <main id="main" tabIndex={-1}>
        <h1>{title}</h1>
        {live === 'offline' && (
          <p class="offline">
            The node does not answer at the moment. What stands here may be old; it comes back by itself.
          </p>
        )}
        {detail !== null ? (
          <LedgerDetail key={path} kind={detail[1] as string} id={decodeURIComponent(detail[2] as string)} />
        ) : Content === undefined ? (
          <Empty title="There is no such page" />
        ) : (
          <Content />
        )}
      </main>
    </>
  );
}

function LoggedOut({ problem }: { problem: Problem | undefined }) {
  return (
    <main class="login">
      <img src="/icon.svg" alt="" width="64" height="64" />
      <h1>Blocktree</h1>
      {problem?.code === 'offline' ? (
        <p role="alert">The node does not answer. Start it with “npm start”, then load this page again.</p>
      ) : (
        <>
          {problem !== undefined && problem.code !== 'not-logged-in' && <p role="alert">{problem.message}</p>}
          <p>
            This browser is not logged in. The node printed a login link when it started; this prints a new
            one:
          </p>
          <p>
            <code>npx blocktree status</code>
          </p>
        </>
      )}
    </main>
  );
}

function App() {
  const [state, setState] = useState<'checking' | 'in' | 'out'>('checking');
  const [problem, setProblem] = useState<Problem>();
  useEffect(
    () =>
      onLoggedOut(() => {
        closeEvents();
        setState('out');
      }),
    [],
  );
  useEffect(() => {
    const enter = async (): Promise<void> => {
      // The code stands in the fragment, which never leaves the browser; it is taken out of the address at once.
      const code = location.pathname === '/login' ? location.hash.slice(1) : '';
      if (location.pathname === '/login') history.replaceState(null, '', '/');
      try {
        if (code !== '') await call('POST', '/sessions', { code });
        else await call('GET', '/sessions/current');
      } catch (error) {
        // A link that was used before is no harm to a browser that is in already.
        const inside =
          code !== '' &&
          (await call('GET', '/sessions/current').then(
            () => true,
            () => false,
          ));
        if (!inside) {
          setProblem(error as Problem);
          setState('out');
          return;
        }
      }
      openEvents();
      setState('in');
      go(location.pathname);
    };
    void enter();
  }, []);
  if (state === 'checking') return <div class="loading" role="status" aria-label="Loading" />;
  return state === 'in' ? <Shell /> : <LoggedOut problem={problem} />;
}

applyTheme();
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', applyTheme);
interceptLinks();
render(<App />, document.getElementById('app') as HTMLElement);
