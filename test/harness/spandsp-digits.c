/* Prints the DTMF digits that spandsp hears in 8 kHz, 16-bit, mono samples on standard input. */
#include <inttypes.h>
#include <stdio.h>
#include <spandsp.h>

int main(void) {
  int16_t samples[160];
  char digits[129];
  size_t count;
  dtmf_rx_state_t *receiver = dtmf_rx_init(NULL, NULL, NULL);
  while ((count = fread(samples, sizeof samples[0], 160, stdin)) > 0) {
    dtmf_rx(receiver, samples, (int)count);
    while (dtmf_rx_get(receiver, digits, 128) > 0) fputs(digits, stdout);
  }
  dtmf_rx_free(receiver);
  return 0;
}
