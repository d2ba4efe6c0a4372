import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  type CaptureMode,
  type ConferenceInput,
  type ConferencePlan,
  type ConferenceState,
  EMPTY_CONFERENCE,
  PARTIES_MAX,
  type Party,
  type PartyMode,
  planOf,
  type Role,
  stepConference,
} from '../../src/session/conference.ts';

const ROLES = ['caller', 'agent', 'supervisor', 'application', 'recorder'] as const;
const KINDS = ['talking', 'whispering', 'listening', 'listeningMasked', 'removed'] as const;
const CAPTURES = ['removed', 'masked', 'conference'] as const;
const COLUMNS = ['none', ...CAPTURES] as const;

function modeOf(kind: PartyMode['kind'], to = 'other'): PartyMode {
  if (kind === 'whispering') return { kind, to };
  return kind === 'removed' ? { kind, hears: 'music' } : { kind };
}

const party = (id: string, role: Role, kind: PartyMode['kind'] = 'talking', to?: string): Party => {
  return { id, role, mode: modeOf(kind, to), isOnHold: false };
};

/** Takes every input in turn; a refusal fails the test. */
function after(...inputs: readonly ConferenceInput[]): ConferenceState {
  return inputs.reduce((state: ConferenceState, input) => {
    const step = stepConference(state, input);
    expect(step.refused, JSON.stringify(input)).toBeNull();
    return step.state;
  }, EMPTY_CONFERENCE);
}

const joined = (id: string, role: Role, mode?: PartyMode): ConferenceInput =>
  mode === undefined ? { kind: 'joined', id, role } : { kind: 'joined', id, role, mode };
const starts = (mode: CaptureMode, payer = 'caller'): ConferenceInput => ({ kind: 'captureStarted', payer, mode });
const refusedAfter = (state: ConferenceState, input: ConferenceInput) => {
  const step = stepConference(state, input);
  expect(step.state).toBe(state);
  return step.refused;
};
const routed = ({ routes }: ConferencePlan) => routes.map(({ from, to, mode }) => `${from} > ${to} ${mode}`).sort();

const FOUR = after(
  joined('caller', 'caller'),
  joined('agent', 'agent'),
  joined('supervisor', 'supervisor'),
  joined('recorder', 'recorder'),
);

describe('the table of who takes part how', () => {
  const text = readFileSync(new URL('../../src/session/conference.ts', import.meta.url), 'utf8');
  const rows = [...text.matchAll(/^ \* {3}(\w+) {2,}(\w+) {2,}(\w+) {2,}(\w+) {2,}(\w+) {2,}(\w+)$/gm)]
    .map((match) => match.slice(1, 7) as [string, PartyMode['kind'], string, string, string, string])
    .filter(([role]) => role !== 'role');

  it('has its rows found in the comment', () => expect(rows.length).toBe(16));

  /** A party beside an agent who talks and a caller who pays, or does not: what each hears of the other tells its presence. */
  function presenceIn(role: Role | 'payer', kind: PartyMode['kind'], column: (typeof COLUMNS)[number]): string {
    const one = party('one', role === 'payer' ? 'caller' : role, kind);
    const payer = party('payer', 'caller');
    const base = role === 'payer' ? [one, party('other', 'supervisor')] : [one, payer, party('other', 'supervisor')];
    const capture = column === 'none' ? null : { payer: role === 'payer' ? 'one' : 'payer', mode: column };
    // In a capture of a telephone system's own mix nobody else may talk: that others are refused is not asked here.
    const others = column === 'conference' ? base.filter(({ id }) => id !== 'other') : base;
    if (capture !== null) {
      const { refused } = stepConference({ parties: others, capture: null }, { kind: 'captureStarted', ...capture });
      if (refused !== null) return 'refused';
    }
    const { routes } = planOf({ parties: others, capture });
    const speaks = routes.filter(({ from }) => from === 'one').map(({ to, mode }) => [to, mode]);
    const hears = routes.filter(({ to }) => to === 'one').map(({ from }) => from);
    if (role === 'payer' && capture !== null) return speaks.every(([, mode]) => mode === 'masked') ? 'pays' : 'leaks';
    const isHeard = speaks.length > 0;
    if (!isHeard && hears.length === 0) return column === 'removed' && kind === 'listening' ? 'apart or out' : 'out';
    if (isHeard) return kind === 'whispering' ? 'whispers' : 'talks';
    return role !== 'payer' && !hears.includes('payer') ? 'apart' : 'listens';
  }

  for (const [role, kind, ...cells] of rows) {
    for (const [i, column] of COLUMNS.entries()) {
      const cell = cells[i] ?? '';
      it(`${role}, ${kind}, ${column}: ${cell}`, () => {
        const found = presenceIn(role as Role, kind, column);
        // Where nobody else speaks, whoever is apart hears as much as whoever is out.
        const silent = found === 'out' || found === 'apart or out';
        if (cell === 'apart' && column !== 'masked') expect(silent).toBe(true);
        else if (found === 'apart or out') expect(['out', 'apart']).toContain(cell);
        else expect(found).toBe(cell);
      });
    }
  }

  it('names every combination that is taken, and all others are refused in words', () => {
    const named = new Set(rows.map(([role, kind]) => `${role} ${kind}`));
    const alone = after(joined('other', 'agent'));
    for (const role of ROLES) {
      for (const kind of KINDS) {
        const refused = refusedOf(alone, joined('one', role, modeOf(kind)));
        const isNamed = named.has(`${role} ${kind}`) || (role === 'caller' && kind === 'talking');
        expect(refused === null, `${role} ${kind}`).toBe(isNamed);
        if (refused !== null) expect(refused).toMatch(/^an? \w+ cannot be \w+/);
      }
    }
  });
  const refusedOf = (state: ConferenceState, input: ConferenceInput) => stepConference(state, input).refused;
});

describe('whatever is on the call', () => {
  /** Every party that can be, beside a payer: each role in each of its modes, whispering to each, on hold or not. */
  const seats = ['b', 'c', 'd'];
  const possible = (id: string): Party[] =>
    ROLES.flatMap((role) =>
      KINDS.flatMap((kind) => {
        const targets = kind === 'whispering' ? ['payer', ...seats.filter((seat) => seat !== id)] : ['-'];
        return targets.flatMap((to) =>
          [false, true].map((isOnHold): Party => ({ id, role, mode: modeOf(kind, to), isOnHold })),
        );
      }),
    );

  it('gives no open route from a payer to anybody, in any combination, and masks what it gives', () => {
    let seen = 0;
    let masked = 0;
    for (const mode of CAPTURES) {
      for (const isOnHold of [false, true]) {
        const payer: Party = { id: 'payer', role: 'caller', mode: { kind: 'talking' }, isOnHold };
        for (const b of possible('b')) {
          for (const c of possible('c')) {
            for (const d of possible('d')) {
              const plan = planOf({ parties: [payer, b, c, d], capture: { payer: 'payer', mode } });
              seen += 1;
              const fromPayer = plan.routes.filter(({ from }) => from === 'payer');
              masked += fromPayer.length;
              const roles = new Map([b, c, d].map(({ id, role }) => [id, role]));
              const isWrong =
                fromPayer.some((route) => route.mode !== 'masked' || roles.get(route.to) === 'application') ||
                plan.masks.includes('payer') !== fromPayer.length > 0 ||
                plan.routes.some(({ from, to }) => from === to || roles.get(from) === 'recorder');
              if (isWrong) expect.fail(JSON.stringify({ mode, payer, b, c, d, plan }));
            }
          }
        }
      }
    }
    expect(seen).toBe(CAPTURES.length * 2 * possible('b').length ** 3);
    expect(masked).toBeGreaterThan(10_000);
  });

  it('gives a caller to people masked also while nobody pays, and openly to an application only', () => {
    for (const b of possible('b')) {
      for (const c of possible('c')) {
        const { routes } = planOf({ parties: [party('payer', 'caller'), b, c], capture: null });
        for (const { to, mode } of routes.filter(({ from }) => from === 'payer')) {
          const { role } = to === 'b' ? b : c;
          if ((mode === 'open') !== (role === 'application')) expect.fail(JSON.stringify({ b, c, to, mode }));
        }
      }
    }
  });

  it('holds for every order of inputs too: no open route from whoever pays', () => {
    const inputs: ConferenceInput[] = [
      ...(['b', 'c'] as const).flatMap((id) => ROLES.map((role): ConferenceInput => ({ kind: 'joined', id, role }))),
      ...KINDS.flatMap((kind) =>
        ['b', 'c'].map((id): ConferenceInput => ({ kind: 'modeChanged', id, mode: modeOf(kind, 'payer') })),
      ),
      ...['payer', 'b'].flatMap((id): ConferenceInput[] => [
        { kind: 'left', id },
        { kind: 'held', id },
        { kind: 'resumed', id },
      ]),
      ...CAPTURES.map((mode) => starts(mode, 'payer')),
      { kind: 'captureEnded' },
    ];
    const known = new Set<string>();
    let edge = [after(joined('payer', 'caller'))];
    while (edge.length > 0) {
      const found: ConferenceState[] = [];
      for (const state of edge) {
        for (const input of inputs) {
          const step = stepConference(state, input);
          const key = JSON.stringify(step.state);
          if (known.has(key)) continue;
          known.add(key);
          found.push(step.state);
          const payer = step.state.capture?.payer;
          const leaks = planOf(step.state).routes.filter(({ from, mode }) => from === payer && mode === 'open');
          expect(leaks).toEqual([]);
        }
      }
      edge = found;
    }
    // All that these inputs can lead to, which is finite.
    expect(known.size).toBeGreaterThan(1_000);
  });
});

describe('a capture with the agent removed', () => {
  const state = stepConference(FOUR, starts('removed')).state;
  it('leaves the listeners the masked caller, and the agent music', () => {
    expect(routed(planOf(state))).toEqual(['caller > recorder masked', 'caller > supervisor masked']);
    expect(planOf(state).masks).toEqual(['caller']);
    expect(planOf(state).music).toEqual([{ id: 'agent', piece: 'reserved' }]);
  });
  it('needs no mask where nobody listens', () => {
    const two = after(joined('caller', 'caller'), joined('agent', 'agent'), starts('removed'));
    expect(planOf(two)).toMatchObject({ routes: [], masks: [] });
  });
  it('gives everybody back at its end', () => {
    expect(planOf(stepConference(state, { kind: 'captureEnded' }).state)).toEqual(planOf(FOUR));
  });
  it('ends with the caller, and the agent is back', () => {
    const gone = stepConference(state, { kind: 'left', id: 'caller' }).state;
    expect(gone.capture).toBeNull();
    expect(planOf(gone).music).toEqual([]);
  });
  it('lets a supervisor come to listen, and nobody talk', () => {
    const late = stepConference(state, joined('late', 'supervisor')).state;
    expect(routed(planOf(late))).toContain('caller > late masked');
    expect(refusedAfter(state, { kind: 'modeChanged', id: 'supervisor', mode: { kind: 'talking' } })).toBe(
      'a supervisor cannot talk while the caller is alone with the payment',
    );
  });
  it('takes who answers meanwhile out of the audio too', () => {
    const late = stepConference(state, joined('second', 'agent')).state;
    expect(routed(planOf(late))).toEqual(routed(planOf(state)));
    expect(planOf(late).music).toContainEqual({ id: 'second', piece: 'reserved' });
  });
});

describe('a capture with the agent on the line', () => {
  const state = stepConference(FOUR, starts('masked')).state;
  it('lets caller and agent talk, the caller masked for everybody', () => {
    expect(routed(planOf(state))).toEqual([
      'agent > caller open',
      'agent > recorder open',
      'agent > supervisor open',
      'caller > agent masked',
      'caller > recorder masked',
      'caller > supervisor masked',
    ]);
  });
  it('changes no route that was there before: nothing has to change in time', () => {
    expect(planOf(state).routes).toEqual(planOf(FOUR).routes);
  });
  it('lets a supervisor barge in and whisper, masked', () => {
    const in_ = stepConference(state, { kind: 'modeChanged', id: 'supervisor', mode: { kind: 'talking' } }).state;
    expect(routed(planOf(in_))).toContain('supervisor > caller open');
    const to: PartyMode = { kind: 'whispering', to: 'agent' };
    const whispers = stepConference(state, { kind: 'modeChanged', id: 'supervisor', mode: to }).state;
    expect(routed(planOf(whispers)).filter((route) => route.startsWith('supervisor'))).toEqual([
      'supervisor > agent open',
    ]);
    expect(routed(planOf(whispers))).toContain('caller > supervisor masked');
  });
  it('keeps an application out', () => {
    const ivr = after(joined('caller', 'caller'), joined('ivr', 'application'), starts('masked'));
    expect(planOf(ivr)).toEqual({ routes: [], masks: [], music: [] });
  });
});

describe('a capture in a telephone system of its own', () => {
  it('is refused where somebody talks on a leg of its own, and names who', () => {
    expect(refusedAfter(FOUR, starts('conference'))).toMatch(/^agent is an agent with a leg of its own/);
  });
  it('masks who listens, and refuses who comes to talk', () => {
    const mix = after(joined('caller', 'caller'), joined('recorder', 'recorder'), starts('conference'));
    expect(routed(planOf(mix))).toEqual(['caller > recorder masked']);
    expect(refusedAfter(mix, joined('agent', 'agent'))).toMatch(/leg of its own/);
  });
});

describe('a party on hold', () => {
  const held = stepConference(FOUR, { kind: 'held', id: 'agent' }).state;
  it('has nobody hear its music, and hears nobody', () => {
    expect(routed(planOf(held)).filter((route) => route.includes('agent'))).toEqual([]);
  });
  it('is heard by the one who is left, and back as before', () => {
    const two = after(joined('caller', 'caller'), joined('ivr', 'application'));
    expect(planOf(stepConference(two, { kind: 'held', id: 'caller' }).state)).toEqual(planOf(two));
    expect(planOf(stepConference(held, { kind: 'resumed', id: 'agent' }).state)).toEqual(planOf(FOUR));
  });
  it('may pay, and nobody hears its music meanwhile', () => {
    const caller = stepConference(FOUR, { kind: 'held', id: 'caller' }).state;
    const paying = stepConference(caller, starts('removed'));
    expect(paying.refused).toBeNull();
    expect(planOf(paying.state)).toMatchObject({ routes: [], masks: [] });
    expect(planOf(stepConference(paying.state, { kind: 'resumed', id: 'caller' }).state).masks).toEqual(['caller']);
  });
  it('does not pay once it was taken out of the audio', () => {
    const out: PartyMode = { kind: 'removed', hears: 'music' };
    const removed = stepConference(FOUR, { kind: 'modeChanged', id: 'caller', mode: out }).state;
    expect(refusedAfter(removed, starts('removed'))).toBe('caller is out of the audio');
  });
});

describe('a request that does not fit', () => {
  const full = after(...Array.from({ length: PARTIES_MAX }, (_, i) => joined(`p${i}`, 'agent')));
  const paying = stepConference(FOUR, starts('masked')).state;
  it.each<[string, ConferenceState, ConferenceInput]>([
    ['agent is on the call already', FOUR, joined('agent', 'agent')],
    ['32 parties are on the call already', full, joined('more', 'agent')],
    ['nobody is not on the call', FOUR, { kind: 'modeChanged', id: 'nobody', mode: { kind: 'talking' } }],
    ['an application cannot be whispering', FOUR, joined('ivr', 'application', { kind: 'whispering', to: 'caller' })],
    ['supervisor cannot whisper to itself', FOUR, whispers('supervisor')],
    ['supervisor cannot whisper to nobody, who is not on the call', FOUR, whispers('nobody')],
    ['supervisor cannot whisper to a recorder', FOUR, whispers('recorder')],
    ['a payment of caller is being captured already', paying, starts('removed')],
    ['nobody is not on the call', FOUR, starts('removed', 'nobody')],
    ['agent is an agent: only a caller pays', FOUR, starts('removed', 'agent')],
    [
      'caller is paying and stays as it is until the capture ends',
      paying,
      { kind: 'modeChanged', id: 'caller', mode: { kind: 'removed', hears: 'music' } },
    ],
  ])('is refused: %s', (words, state, input) => {
    expect(refusedAfter(state, input)).toBe(words);
  });

  function whispers(to: string): ConferenceInput {
    return { kind: 'modeChanged', id: 'supervisor', mode: { kind: 'whispering', to } };
  }

  it('is not one that something happened: facts about strangers change nothing', () => {
    for (const kind of ['left', 'held', 'resumed'] as const) {
      expect(stepConference(FOUR, { kind, id: 'nobody' }).state).toEqual(FOUR);
    }
    expect(stepConference(FOUR, { kind: 'captureEnded' }).state).toEqual(FOUR);
  });

  it('leaves a whisperer listening when the one he talks to leaves', () => {
    const whispering = stepConference(FOUR, whispers('agent')).state;
    const left = stepConference(whispering, { kind: 'left', id: 'agent' }).state;
    expect(left.parties.find(({ id }) => id === 'supervisor')?.mode).toEqual({ kind: 'listeningMasked' });
  });
});
