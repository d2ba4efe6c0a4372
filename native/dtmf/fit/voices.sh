#!/usr/bin/env bash
# Speech for the fit from the speech synthesizers that Debian has, reading the prompts' texts and card numbers.
#   voices.sh TEXT OUT_FOLDER       TEXT: a plain text, some minutes long
# Needs espeak-ng, flite, festival (text2wave) with festvox-kallpc16k, festvox-kdlpc16k, festvox-us-slt-hts, and sox.
set -euo pipefail
text=$1 out=$2
mkdir -p "$out"
raw=(-r 8000 -c 1 -b 16 -e signed -t raw)
for voice in en-us en-gb+f3 de+m3 fr+f2 es+m7 it+f4 cs ru+f1 pl+m1 nl+croak sv+whisper zh+f5; do
  for pitch in 20 50 80; do
    espeak-ng -v "$voice" -p "$pitch" -s $((120 + pitch)) -f "$text" --stdout | sox -V0 -t wav - "${raw[@]}" - 
  done
done >"$out/espeak-ng.raw"
for voice in awb kal16 rms slt; do
  flite -voice "$voice" -f "$text" -o /tmp/voice.$$.wav && sox -V0 /tmp/voice.$$.wav "${raw[@]}" -
done >"$out/flite.raw"
for voice in kal_diphone ked_diphone cmu_us_slt_arctic_hts; do
  text2wave -eval "(voice_$voice)" "$text" -o /tmp/voice.$$.wav 2>/dev/null && sox -V0 /tmp/voice.$$.wav "${raw[@]}" - || true
done >"$out/festival.raw"
rm -f /tmp/voice.$$.wav
