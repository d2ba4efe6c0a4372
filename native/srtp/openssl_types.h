// AES in counter mode, AES-GCM and HMAC-SHA1 for libsrtp2, by OpenSSL: put in the place of those that the library was
// built with. Why: README.md.
#pragma once

namespace hushtone {

// After srtp_init, once. False where the library refuses one: it runs its known answers and ours through each.
bool UseOpenSslTypes();

}  // namespace hushtone
