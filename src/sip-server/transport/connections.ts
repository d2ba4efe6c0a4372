import type { Limits } from '../limits.ts';
import type { Flow } from './flow.ts';

/** Open connections of one kind, by peer, under the limits. */
export class Connections<Connection extends Flow> {
  readonly #all = new Set<Connection>();
  /** The newest to each address and port. */
  readonly #byPeer = new Map<string, Connection>();
  readonly #perAddress = new Map<string, number>();
  readonly #limits: Limits;

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  get(address: string, port: number): Connection | undefined {
    return this.#byPeer.get(`${address}:${port}`);
  }

  /** False where a limit is reached; the caller closes the connection. */
  add(connection: Connection): boolean {
    const count = this.#perAddress.get(connection.remoteAddress) ?? 0;
    if (this.#all.size >= this.#limits.connectionsMax || count >= this.#limits.connectionsPerAddressMax) return false;
    this.#perAddress.set(connection.remoteAddress, count + 1);
    this.#all.add(connection);
    this.#byPeer.set(`${connection.remoteAddress}:${connection.remotePort}`, connection);
    return true;
  }

  remove(connection: Connection): void {
    if (!this.#all.delete(connection)) return;
    const key = `${connection.remoteAddress}:${connection.remotePort}`;
    if (this.#byPeer.get(key) === connection) this.#byPeer.delete(key);
    const count = (this.#perAddress.get(connection.remoteAddress) ?? 1) - 1;
    if (count > 0) this.#perAddress.set(connection.remoteAddress, count);
    else this.#perAddress.delete(connection.remoteAddress);
  }

  values(): Connection[] {
    return [...this.#all];
  }
}
