import { ServiceError } from '../lib/errors.ts';
import { ProfileSchema } from '../sip/profile-schema.ts';
import { checkProfiles, describeFault, readProfileFolder } from '../sip/profiles.ts';

const USAGE = `usage: hushtone profiles check [FOLDER]   checks every profile of a folder (default sip-profiles)
       hushtone profiles schema           prints the JSON Schema of a profile, for editors
`;

/** Returns the exit status: 0 fine, 1 a profile has faults, 2 wrong use. */
export async function profilesCommand(
  argv: readonly string[],
  out: { write(text: string): unknown } = process.stdout,
  err: { write(text: string): unknown } = process.stderr,
): Promise<number> {
  const [verb, folder = 'sip-profiles', ...more] = argv;
  if (verb === 'schema' && argv.length === 1) {
    out.write(`${JSON.stringify(ProfileSchema, null, 2)}\n`);
    return 0;
  }
  if (verb !== 'check' || more.length > 0) {
    err.write(USAGE);
    return 2;
  }
  try {
    // Which secrets exist is known to `hushtone serve` only; here a profile is judged by itself.
    const checked = checkProfiles(readProfileFolder(folder), null);
    if (!checked.ok) {
      for (const fault of checked.faults) err.write(`${describeFault(fault)}\n`);
      return 1;
    }
    for (const profile of checked.profiles) out.write(`${profile.name}: ${profile.admit.addresses.join(', ')}\n`);
    if (checked.profiles.length === 0) err.write(`${folder}: no profile, so every call would get 403\n`);
    return checked.profiles.length === 0 ? 1 : 0;
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    err.write(`${error.message}\n`);
    return 1;
  }
}
