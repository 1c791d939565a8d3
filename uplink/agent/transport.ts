// How an agent reaches its portal: frames in order over one connection, and single questions. The real one is
// agent/network.ts; the simulator gives another.

/** One connection. What is sent arrives in order or not at all. */
export interface Wire {
  /** Never throws; after the end it does nothing. */
  send(text: string): void;
  /** The next frame, or null at the end. One reader at a time. */
  read(): Promise<string | null>;
  close(): void;
}

export interface Reply {
  readonly status: number;
  /** At most 16 MiB; longer ones are cut. */
  readonly body: string;
}

export interface Transport {
  /** `portal`: scheme, host and port. Rejects when it cannot be reached. */
  open(portal: string): Promise<Wire>;
  /** Posts JSON. Rejects when nobody answers in time. */
  post(url: string, body: string, timeoutMs: number): Promise<Reply>;
}
