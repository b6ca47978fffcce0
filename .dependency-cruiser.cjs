/** Which other rooms of `node/ledger/` each of them may look at. */
function ledgerRooms(...rooms) {
  return rooms.map(([room, others]) => ({
    name: `node-ledger-${room}-looks-down`,
    severity: 'error',
    from: { path: `^node/ledger/${room}/`, pathNot: '\\.test\\.ts$' },
    to: { path: '^node/ledger/', pathNot: `^node/ledger/(${[room, ...others].join('|')})/` },
  }));
}

/** The rooms and which way they look: dashboard -> node -> market -> ledger; nothing points back. */
module.exports = {
  forbidden: [
    { name: 'no-circle', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'ledger-looks-at-nobody',
      severity: 'error',
      from: { path: '^ledger/', pathNot: '\\.test\\.ts$' },
      to: { path: '^(market|node|dashboard|test|bench)/' },
    },
    {
      name: 'market-looks-at-ledger-only',
      severity: 'error',
      from: { path: '^market/', pathNot: '\\.test\\.ts$' },
      to: { path: '^(node|dashboard|test|bench)/' },
    },
    {
      name: 'node-looks-at-market-and-ledger',
      severity: 'error',
      from: { path: '^node/', pathNot: '\\.test\\.ts$' },
      to: { path: '^(dashboard|test|bench)/' },
    },
    ...ledgerRooms(
      ['store', []],
      ['signatures', []],
      ['chain', ['store', 'signatures']],
      ['sync', ['chain']],
      ['gossip', ['chain']],
      ['votes', ['chain']],
      ['snapshots', ['sync', 'chain', 'store']],
      ['maintenance', ['chain', 'store']],
    ),
    {
      name: 'dashboard-talks-http',
      severity: 'error',
      from: { path: '^dashboard/' },
      to: { path: '^(market|node|test|bench)/' },
    },
    {
      name: 'ledger-is-pure',
      comment:
        'No I/O, no clock, no timers, no other process: of the built-ins only hashing and signature checks.',
      severity: 'error',
      from: { path: '^ledger/', pathNot: '\\.test\\.ts$' },
      to: { dependencyTypes: ['core'], pathNot: '^(node:)?crypto$' },
    },
    {
      name: 'market-is-pure',
      comment:
        'The market knows the network, the disk and the queue only as interfaces that it declares itself.',
      severity: 'error',
      from: { path: '^market/', pathNot: '\\.test\\.ts$' },
      to: {
        dependencyTypes: ['core'],
        pathNot: '^(node:)?(crypto|worker_threads|stream|stream/.*|url|module|zlib)$',
      },
    },
  ],
  options: {
    parser: 'swc',
    doNotFollow: { path: '^node_modules/' },
    // The swc parser reads no JSX; test/boundaries.mjs looks at the imports of those files itself.
    exclude: { path: '^dist/|\\.tsx$' },
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.tsx', '.mjs', '.js'] },
  },
};
