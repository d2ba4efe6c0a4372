/** The clearest of Debian's voices here: README.md has the scores. */
export const VOICE = 'flite:rms';

/** What that voice is given where it would misread a text. */
export const SPOKEN: Readonly<Record<string, string>> = {
  'letter-a': 'ay',
};
