// libFuzzer entry of what a gateway sends instead of TLS: pieces of a byte of length each. OpenSSL reads it; nothing but a
// handshake under our authority may end in anything but waiting or a fault.
#include <array>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "fuzz/fuzz_input.h"
#include "io/tls_session.h"

using namespace hushtone;

namespace {

// An authority of which nobody has the key: made once, the key thrown away.
constexpr const char* kAuthority =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBeDCCAR+gAwIBAgIUYPlE+cPlHNslhxX/A2EHZjYRv/kwCgYIKoZIzj0EAwIw\n"
    "ETEPMA0GA1UEAwwGTm9ib2R5MCAXDTI2MTEyNTIwMzQ0NFoYDzIxMjYxMTAxMjAz\n"
    "NDQ0WjARMQ8wDQYDVQQDDAZOb2JvZHkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNC\n"
    "AARzulLAomFWh2o/MVgPFC+y5Ns5cyaRNSJ/g949pgsVUKugdPbj+L3kOrGXTnSs\n"
    "kDn1t/0QiAhq6FapqQyrcGn/o1MwUTAdBgNVHQ4EFgQUJVOqESk275USnBBin2Yh\n"
    "+dr+AUIwHwYDVR0jBBgwFoAUJVOqESk275USnBBin2Yh+dr+AUIwDwYDVR0TAQH/\n"
    "BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiBKhLCSwvfp7wH+sVP1KDam0K5Ni1u4\n"
    "EtJ2Uo02R2fwPQIgLv7KeEIeT7t2wwDjARv5EoqyjweNoiW400idTGHqDlk=\n"
    "-----END CERTIFICATE-----\n";
constexpr size_t kOutputBytesMax = 65536;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static std::string fault;
  static const auto trust = TlsTrust::Create(kAuthority, &fault);
  if (trust == nullptr) std::abort();
  const auto session = TlsSession::Create(*trust, "gateway.example", false);
  if (session == nullptr) std::abort();
  std::vector<uint8_t> out;
  std::array<uint8_t, 512> plaintext;
  fuzz::Input input(data, size);
  for (auto state = session->Handshake(&fault); state == TlsSession::State::kWait && !input.IsEmpty();) {
    session->Feed(input.Bytes(size_t{input.Byte()} + 1));
    state = session->Handshake(&fault);
    if (state == TlsSession::State::kDone) std::abort();
    size_t count = 0;
    if (session->Read(plaintext, &count) == TlsSession::State::kDone) std::abort();
    session->TakeOutput(&out);
  }
  if (out.size() > kOutputBytesMax) std::abort();
  session->Goodbye();
  return 0;
}
