/** What a benchmark case is. One file of cases/ holds one, as its export `bench`. */

/** One line of `make bench`; `peer` where a peer was measured in the same run. */
export interface Row {
  readonly case: string;
  readonly metric: string;
  readonly value: number;
  readonly unit: string;
  readonly peer?: string;
  readonly peerValue?: number;
}

export type Report = (row: Omit<Row, 'case'>) => void;

export interface BenchCase {
  readonly name: string;
  /** The question and its target, as the README has them. */
  readonly question: string;
  readonly target: string;
  /** Throws an Error with one sentence where the machine lacks something. */
  run(report: Report): Promise<void>;
}
