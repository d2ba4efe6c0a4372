// What SRTP makes of one RTP and one RTCP packet under keys of ours: computed by test/harness/srtp-peer.ts, which is written
// from the RFCs and shares nothing with libsrtp2. The first row's key is that of RFC 3711 appendix B.3.
#pragma once

#include "srtp/srtp.h"

namespace hushtone::test {

struct SrtpVector {
  SrtpSuite suite;
  const char* key;              // Master key and salt.
  const char* rtp_at_roc_0;
  const char* rtp_at_roc_2;
  const char* rtcp_at_1;
};

// A telephone-event, END of key 5, sequence number 65534; a receiver report with a CNAME.
constexpr const char* kPlainRtp = "8065fffe00000a00484f5253058a0320";
constexpr const char* kPlainRtcp = "80c90001484f525381ca0003484f525301046e6f6e650000";

constexpr SrtpVector kSrtpVectors[] = {
    {SrtpSuite::kAesCm128HmacSha1_80, "e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6",
     "8065fffe00000a00484f5253784c890caec0e42bff109cc2a0ce",
     "8065fffe00000a00484f5253c1b4a8c384c84bd60fd50bd04fd0",
     "80c90001484f52536b0c391ed1696db9187488059eab270380000001172ca7aa05879617e5e0"},
    {SrtpSuite::kAesCm128HmacSha1_80, "156a3bb76270df440c9f031826d061d5e7dda6aee7a01d9216620b4329a3",
     "8065fffe00000a00484f5253203b2df78a2ec39bcf366b1edc14",
     "8065fffe00000a00484f525387d44aad8909f09ccd8690e2448e",
     "80c90001484f5253200c6b5ec6f1ef900d80e818e7413754800000010aa2f9fa1b187eba64c9"},
    {SrtpSuite::kAesCm128HmacSha1_32, "37b5e21a597153cd0d14c87de29c515b1c10596a588d71cf9b66b3344644",
     "8065fffe00000a00484f52534ab5b81d85bb9ea7",
     "8065fffe00000a00484f52536604c0de714edbf6",
     "80c90001484f5253be5f74baa7145ecac196abfeaea696838000000142e73c8a9d60ae0bd86c"},
    {SrtpSuite::kAeadAes128Gcm, "3de9d3b8d361fbd903c0a8a8a2fee7fb8725cd0964d7f3a708566c15",
     "8065fffe00000a00484f5253f21450b26833c68e3ea85d8a31c85780f84ea424",
     "8065fffe00000a00484f52535f0b9a5ed46e00213e4b56b20c4fc29220dc6ef8",
     "80c90001484f52531cf3e9999831a3624132d13947ffc853517f5f1f13ec5f2984f1b4732b98afe980000001"},
    {SrtpSuite::kAeadAes256Gcm, "a94a671ecf3abe125169a5dd477cb27e5f312e948d3b678557ca0c27bf21bdf9bf372c5afde2e9b431875d17",
     "8065fffe00000a00484f52532c81921171f94bbde3ac8a2717208f6d14a78c57",
     "8065fffe00000a00484f5253e8894570efe2215f4a42623506fab7dde7f3bbba",
     "80c90001484f5253b48475e6e50ab3eb090d252bc9e8368ef4461f343483bde7aa7c08c7de0477ee80000001"},
};

}  // namespace hushtone::test
