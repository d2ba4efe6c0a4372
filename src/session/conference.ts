/**
 * Who is on a call, and who hears whom: the one place in which routes are thought of. Pure and blind.
 *
 * How each party takes part, by what it is and does, without a capture and in the three modes of one:
 *
 *   role         mode             none      removed   masked    conference
 *   -----------  ---------------  --------  --------  --------  ----------
 *   payer        talking          talks     pays      pays      pays
 *   caller       talking          talks     out       talks     refused
 *   caller       removed          out       out       out       out
 *   agent        talking          talks     out       talks     refused
 *   agent        whispering       whispers  out       whispers  refused
 *   agent        listening        listens   out       apart     refused
 *   agent        removed          out       out       out       out
 *   supervisor   talking          talks     listens   talks     refused
 *   supervisor   whispering       whispers  listens   whispers  refused
 *   supervisor   listening        listens   apart     apart     apart
 *   supervisor   listeningMasked  listens   listens   listens   listens
 *   supervisor   removed          out       out       out       out
 *   recorder     listeningMasked  listens   listens   listens   listens
 *   recorder     removed          out       out       out       out
 *   application  talking          talks     out       out       out
 *   application  removed          out       out       out       out
 *
 *   talks     heard by everybody who hears, and hears everybody
 *   whispers  heard by one party, and hears everybody
 *   listens   heard by nobody, and hears everybody
 *   apart     the same, but nothing of whoever pays
 *   out       neither: music or silence
 *   pays      its keys go to the vault; of its voice the others get what the mask lets through
 *   refused   the capture does not start
 *
 * What has no row is refused. A party on hold hears nobody and is heard by nobody, for its telephone system plays music; but
 * where one other is left, that one may have the music. A caller on hold may pay: the payment waits as for any who keys nothing.
 *
 * Between two parties there is a route where one speaks and the other hears. From a payer it is `masked`, in a type that has no
 * other word; from a caller `open` leads to an application only, and `masked` to people, always, so that nothing must change in
 * time when a payment begins: without one a masked route is as an open one, and the worker makes it silent until the mask is
 * proven.
 */
export type Role = 'caller' | 'agent' | 'supervisor' | 'application' | 'recorder';

export type PartyMode =
  | { readonly kind: 'talking' }
  | { readonly kind: 'whispering'; readonly to: string }
  | { readonly kind: 'listening' }
  | { readonly kind: 'listeningMasked' }
  | { readonly kind: 'removed'; readonly hears: 'music' | 'silence' };

/** How a payment is captured: the agent out of the audio, on the line behind the mask, or in a telephone system's own mix. */
export type CaptureMode = 'removed' | 'masked' | 'conference';

export interface Party {
  /** Its leg. */
  readonly id: string;
  readonly role: Role;
  readonly mode: PartyMode;
  readonly isOnHold: boolean;
}

export interface ConferenceState {
  readonly parties: readonly Party[];
  readonly capture: { readonly payer: string; readonly mode: CaptureMode } | null;
}

export const EMPTY_CONFERENCE: ConferenceState = { parties: [], capture: null };

/** Legs of one call, as the engine has it (native/call/engine.h). */
export const PARTIES_MAX = 32;

/** May be refused: nothing has changed then. */
export type ConferenceRequest =
  | { readonly kind: 'joined'; readonly id: string; readonly role: Role; readonly mode?: PartyMode }
  | { readonly kind: 'modeChanged'; readonly id: string; readonly mode: PartyMode }
  | { readonly kind: 'captureStarted'; readonly payer: string; readonly mode: CaptureMode };

/** Has happened, whether it suits or not. */
export type ConferenceFact =
  | { readonly kind: 'left'; readonly id: string }
  | { readonly kind: 'held'; readonly id: string }
  | { readonly kind: 'resumed'; readonly id: string }
  | { readonly kind: 'captureEnded' };

export type ConferenceInput = ConferenceRequest | ConferenceFact;

/** `refused`: in words, why; the state is the one before. */
export interface ConferenceStep {
  readonly state: ConferenceState;
  readonly refused: string | null;
}

export interface Hearing {
  readonly from: string;
  readonly to: string;
  readonly mode: 'open' | 'masked';
}

/** What the world must look like for a state. */
export interface ConferencePlan {
  readonly routes: readonly Hearing[];
  /** Whose mask must be armed and proven before these routes are there. */
  readonly masks: readonly string[];
  /** Who hears music: of somebody reserved while a payment is captured, or of somebody on hold. */
  readonly music: readonly { readonly id: string; readonly piece: 'reserved' | 'hold' }[];
}

type Presence = 'talks' | 'whispers' | 'listens' | 'apart' | 'out' | 'pays';
type Row = Readonly<Record<'none' | CaptureMode, Exclude<Presence, 'pays'> | 'refused'>>;

const row = (none: Row['none'], removed: Row['none'], masked: Row['none'], conference: Row['none']): Row => ({
  none,
  removed,
  masked,
  conference,
});
const OUT = row('out', 'out', 'out', 'out');

const ROWS: Readonly<Record<Role, Readonly<Partial<Record<PartyMode['kind'], Row>>>>> = {
  caller: { talking: row('talks', 'out', 'talks', 'refused'), removed: OUT },
  agent: {
    talking: row('talks', 'out', 'talks', 'refused'),
    whispering: row('whispers', 'out', 'whispers', 'refused'),
    listening: row('listens', 'out', 'apart', 'refused'),
    removed: OUT,
  },
  supervisor: {
    talking: row('talks', 'listens', 'talks', 'refused'),
    whispering: row('whispers', 'listens', 'whispers', 'refused'),
    listening: row('listens', 'apart', 'apart', 'apart'),
    listeningMasked: row('listens', 'listens', 'listens', 'listens'),
    removed: OUT,
  },
  recorder: { listeningMasked: row('listens', 'listens', 'listens', 'listens'), removed: OUT },
  application: { talking: row('talks', 'out', 'out', 'out'), removed: OUT },
};

/** What of a payer reaches a party. That `open` is no word here is the product's promise: do not widen it. */
const OF_PAYER: Readonly<Record<Presence, 'masked' | null>> = {
  talks: 'masked',
  whispers: 'masked',
  listens: 'masked',
  apart: null,
  out: null,
  pays: null,
};

/** What of a caller who does not pay reaches whom; keys and all only an application behind us. */
const OF_CALLER: Readonly<Record<Role, 'open' | 'masked'>> = {
  application: 'open',
  caller: 'masked',
  agent: 'masked',
  supervisor: 'masked',
  recorder: 'masked',
};

const TALKING: PartyMode = { kind: 'talking' };
const JOINS_AS: Readonly<Record<Role, PartyMode>> = {
  caller: TALKING,
  agent: TALKING,
  supervisor: { kind: 'listeningMasked' },
  recorder: { kind: 'listeningMasked' },
  application: TALKING,
};

// ---------------------------------------------------------------- the machine

/**
 *   input           refused where
 *   --------------  ---------------------------------------------------------------------------------------------
 *   joined          known already; the call is full; no row for role and mode; in a conference-mode capture, a row `refused`
 *   modeChanged     not on the call; no row; who pays; to talk or whisper where a capture lets nobody talk
 *   captureStarted  one runs; the payer is no caller, or not talking; a party has a row `refused`
 *   others          never: what is not known changes nothing
 */
export function stepConference(state: ConferenceState, input: ConferenceInput): ConferenceStep {
  const refused = refusal(state, input);
  if (refused !== null) return { state, refused };
  return { state: next(state, input), refused: null };
}

function next(state: ConferenceState, input: ConferenceInput): ConferenceState {
  const { parties, capture } = state;
  switch (input.kind) {
    case 'joined': {
      const { id, role, mode = JOINS_AS[role] } = input;
      return { parties: [...parties, { id, role, mode, isOnHold: false }], capture };
    }
    case 'left': {
      const rest = parties.filter(({ id }) => id !== input.id).map((party) => unwhispered(party, input.id));
      return { parties: rest, capture: capture?.payer === input.id ? null : capture };
    }
    case 'modeChanged':
      return { parties: changed(parties, input.id, { mode: input.mode }), capture };
    case 'held':
      return { parties: changed(parties, input.id, { isOnHold: true }), capture };
    case 'resumed':
      return { parties: changed(parties, input.id, { isOnHold: false }), capture };
    case 'captureStarted':
      return { parties, capture: { payer: input.payer, mode: input.mode } };
    case 'captureEnded':
      return { parties, capture: null };
  }
}

function changed(parties: readonly Party[], id: string, change: Partial<Party>): readonly Party[] {
  return parties.map((party) => (party.id === id ? { ...party, ...change } : party));
}

/** Whoever whispered to somebody who left listens on. */
function unwhispered(party: Party, gone: string): Party {
  if (party.mode.kind !== 'whispering' || party.mode.to !== gone) return party;
  return { ...party, mode: party.role === 'supervisor' ? { kind: 'listeningMasked' } : { kind: 'listening' } };
}

// ---------------------------------------------------------------- what is refused, in words

function refusal(state: ConferenceState, input: ConferenceInput): string | null {
  switch (input.kind) {
    case 'joined':
      return joinRefusal(state, input.id, input.role, input.mode ?? JOINS_AS[input.role]);
    case 'modeChanged':
      return modeRefusal(state, input.id, input.mode);
    case 'captureStarted':
      return captureRefusal(state, input.payer, input.mode);
    case 'left':
    case 'held':
    case 'resumed':
    case 'captureEnded':
      return null;
  }
}

function joinRefusal(state: ConferenceState, id: string, role: Role, mode: PartyMode): string | null {
  if (state.parties.some((party) => party.id === id)) return `${id} is on the call already`;
  if (state.parties.length >= PARTIES_MAX) return `${PARTIES_MAX} parties are on the call already`;
  return unfit(state, { id, role, mode });
}

function modeRefusal(state: ConferenceState, id: string, mode: PartyMode): string | null {
  const party = state.parties.find((one) => one.id === id);
  if (party === undefined) return `${id} is not on the call`;
  if (state.capture?.payer === id) return `${id} is paying and stays as it is until the capture ends`;
  const talks = mode.kind === 'talking' || mode.kind === 'whispering';
  if (talks && state.capture?.mode === 'removed')
    return `${aRole(party.role)} cannot talk while the caller is alone with the payment`;
  return unfit(state, { id, role: party.role, mode });
}

/** A combination that the table does not know, or that a capture which runs has no place for. */
function unfit(state: ConferenceState, { id, role, mode }: Omit<Party, 'isOnHold'>): string | null {
  const found = ROWS[role][mode.kind];
  if (found === undefined) return `${aRole(role)} cannot be ${WORDS[mode.kind]}`;
  if (state.capture !== null && found[state.capture.mode] === 'refused') return besideTheMix(id, role);
  if (mode.kind !== 'whispering') return null;
  const target = state.parties.find((party) => party.id === mode.to);
  if (mode.to === id) return `${id} cannot whisper to itself`;
  if (target === undefined) return `${id} cannot whisper to ${mode.to}, who is not on the call`;
  return target.role === 'recorder' ? `${id} cannot whisper to a recorder` : null;
}

function captureRefusal(state: ConferenceState, payer: string, mode: CaptureMode): string | null {
  if (state.capture !== null) return `a payment of ${state.capture.payer} is being captured already`;
  const party = state.parties.find(({ id }) => id === payer);
  if (party === undefined) return `${payer} is not on the call`;
  if (party.role !== 'caller') return `${payer} is ${aRole(party.role)}: only a caller pays`;
  if (party.mode.kind !== 'talking') return `${payer} is out of the audio`;
  const beside = state.parties.find(
    (other) => other.id !== payer && ROWS[other.role][other.mode.kind]?.[mode] === 'refused',
  );
  return beside === undefined ? null : besideTheMix(beside.id, beside.role);
}

const besideTheMix = (id: string, role: Role): string =>
  `${id} is ${aRole(role)} with a leg of its own: a capture in conference mode is for people in the telephone system's mix`;

const aRole = (role: Role): string => (role === 'agent' || role === 'application' ? `an ${role}` : `a ${role}`);

const WORDS: Readonly<Record<PartyMode['kind'], string>> = {
  talking: 'talking',
  whispering: 'whispering',
  listening: 'listening without a mask',
  listeningMasked: 'listening masked',
  removed: 'removed',
};

// ---------------------------------------------------------------- who hears whom

interface Placed extends Party {
  readonly presence: Presence;
}

/** Total: what has no row, or should have been refused, is out. */
export function planOf(state: ConferenceState): ConferencePlan {
  const placed = state.parties.map((party): Placed => ({ ...party, presence: presenceOf(state, party) }));
  const onLine = placed.filter(({ presence, isOnHold }) => presence !== 'out' && !isOnHold);
  /** On hold counts where more than one other would have the music. */
  const isAway = (party: Placed) => party.isOnHold && onLine.length > 1;
  const routes = placed.flatMap((from) =>
    placed.flatMap((to): Hearing[] => {
      if (from.id === to.id || isAway(from) || isAway(to) || !speaksTo(from, to) || to.presence === 'out') return [];
      const mode = heardAs(from, to);
      return mode === null ? [] : [{ from: from.id, to: to.id, mode }];
    }),
  );
  const masks = placed.filter((from) => from.presence === 'pays' && routes.some((route) => route.from === from.id));
  const music = placed
    .filter((party) => party.presence === 'out' && !party.isOnHold && hearsMusic(party))
    .map(({ id, mode }) => ({ id, piece: mode.kind === 'removed' ? ('hold' as const) : ('reserved' as const) }));
  return { routes, masks: masks.map(({ id }) => id), music };
}

function presenceOf({ capture }: ConferenceState, { id, role, mode }: Party): Presence {
  if (capture !== null && id === capture.payer) return 'pays';
  const found = ROWS[role][mode.kind]?.[capture?.mode ?? 'none'] ?? 'out';
  return found === 'refused' ? 'out' : found;
}

function speaksTo(from: Placed, to: Placed): boolean {
  if (from.presence === 'whispers') return from.mode.kind === 'whispering' && from.mode.to === to.id;
  return from.presence === 'talks' || from.presence === 'pays';
}

function heardAs(from: Placed, to: Placed): 'open' | 'masked' | null {
  if (from.presence === 'pays') return OF_PAYER[to.presence];
  return from.role === 'caller' ? OF_CALLER[to.role] : 'open';
}

/** People who shall come back; what records or answers by itself needs no music. */
function hearsMusic({ role, mode }: Placed): boolean {
  if (mode.kind === 'removed') return mode.hears === 'music';
  return role === 'agent' || role === 'caller';
}
