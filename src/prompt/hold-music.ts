/**
 * What somebody on hold hears, in our own hand: four bars of broken chords, C, A minor, F and G, a note each 375 ms. Under
 * each bar its lowest note lies an octave deeper. Six seconds, whose end leads back to their beginning.
 */
export const HOLD_MUSIC = 'C4 E4 G4 E4 A3 C4 E4 C4 F3 A3 C4 A3 G3 B3 D4 G4';
