// The egress thread against real sockets: plain and TLS servers that echo, refuse, stall and break off.
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <string>
#include <thread>

#include "io/egress_thread.h"
#include "test/check.h"

using namespace hushtone;

namespace {

// A certificate for localhost and 127.0.0.1 that signs itself.
struct Certificate {
  EVP_PKEY* key = EVP_RSA_gen(2048);
  X509* x509 = X509_new();
  Certificate(const char* names) {
    X509_set_version(x509, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_NAME* name = X509_get_subject_name(x509);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("test"), -1, -1, 0);
    X509_set_issuer_name(x509, name);
    X509_set_pubkey(x509, key);
    X509V3_CTX context;
    X509V3_set_ctx(&context, x509, x509, nullptr, nullptr, 0);
    for (const auto& [id, value] : {std::pair{NID_subject_alt_name, names}, std::pair{NID_basic_constraints, "critical,CA:TRUE"}}) {
      X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, id, value);
      X509_add_ext(x509, extension, -1);
      X509_EXTENSION_free(extension);
    }
    X509_sign(x509, key, EVP_sha256());
  }
  ~Certificate() {
    X509_free(x509);
    EVP_PKEY_free(key);
  }
  std::string Pem() const {
    BIO* bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, x509);
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    std::string pem(data, static_cast<size_t>(size));
    BIO_free(bio);
    return pem;
  }
};

enum class Manner { kEcho, kStall, kHangUp, kHangUpAfterRequest, kEndless, kCompressed };

// One connection at a time; `seen` is the last request.
class Server {
 public:
  Server(Manner manner, const Certificate* certificate, int max_tls = 0) : manner_(manner) {
    listening_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(listening_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 && listen(listening_, 64) == 0);
    socklen_t size = sizeof address;
    getsockname(listening_, reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
    if (certificate != nullptr) {
      context_ = SSL_CTX_new(TLS_server_method());
      SSL_CTX_set_security_level(context_, 0);
      SSL_CTX_use_certificate(context_, certificate->x509);
      SSL_CTX_use_PrivateKey(context_, certificate->key);
      if (max_tls != 0) {
        SSL_CTX_set_min_proto_version(context_, TLS1_VERSION);
        SSL_CTX_set_max_proto_version(context_, max_tls);
      }
    }
    thread_ = std::thread([this] { Run(); });
  }
  ~Server() {
    stopping_ = true;
    shutdown(listening_, SHUT_RDWR);
    thread_.join();
    close(listening_);
    SSL_CTX_free(context_);
  }
  uint16_t port = 0;
  std::string seen;

 private:
  void Run() {
    for (;;) {
      const int fd = accept(listening_, nullptr, nullptr);
      if (fd < 0) return;
      timeval limit{0, 800000};
      setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      Serve(fd);
      close(fd);
    }
  }
  void Serve(int fd) {
    if (manner_ == Manner::kHangUp) return;
    SSL* ssl = nullptr;
    if (context_ != nullptr) {
      ssl = SSL_new(context_);
      SSL_set_fd(ssl, fd);
      if (SSL_accept(ssl) != 1) {
        SSL_free(ssl);
        ERR_clear_error();
        return;
      }
    }
    const auto receive = [&](char* to, size_t size) -> int {
      return ssl ? SSL_read(ssl, to, static_cast<int>(size)) : static_cast<int>(recv(fd, to, size, 0));
    };
    const auto reply = [&](const std::string& text) {
      return ssl ? SSL_write(ssl, text.data(), static_cast<int>(text.size())) > 0
                 : send(fd, text.data(), text.size(), MSG_NOSIGNAL) > 0;
    };
    std::string request;
    char buffer[4096];
    size_t body = std::string::npos;
    for (;;) {
      const int count = receive(buffer, sizeof buffer);
      if (count <= 0) break;
      request.append(buffer, static_cast<size_t>(count));
      const size_t end = request.find("\r\n\r\n");
      if (end == std::string::npos) continue;
      const size_t at = request.find("Content-Length: ");
      const size_t length = at < end ? static_cast<size_t>(std::atoi(&request[at + 16])) : 0;
      body = end + 4;
      if (request.size() >= body + length) break;
    }
    seen = request;
    const std::string echo = body == std::string::npos ? "" : request.substr(body);
    if (manner_ == Manner::kEcho) {
      const size_t signature = request.find("X-Signature: ");
      const std::string line_of = signature < body ? request.substr(signature, request.find("\r\n", signature) + 2 - signature) : "";
      reply("HTTP/1.1 200 OK\r\nX-Echo: " + echo + "\r\n" + line_of + "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"e\":\r\n");
      char line[16];
      std::snprintf(line, sizeof line, "%zx\r\n", echo.size());
      reply(line + echo + "\r\n1\r\n}\r\n0\r\n\r\n");
    } else if (manner_ == Manner::kStall) {
      receive(buffer, sizeof buffer);
    } else if (manner_ == Manner::kEndless) {
      reply("HTTP/1.1 200 OK\r\n\r\n");
      while (!stopping_ && reply(std::string(4096, 'a'))) continue;
    } else if (manner_ == Manner::kCompressed) {
      reply("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx");
    }
    if (ssl) {
      SSL_shutdown(ssl);
      SSL_free(ssl);
    }
  }
  const Manner manner_;
  int listening_ = -1;
  SSL_CTX* context_ = nullptr;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

// Only CopyFields matters here: a leg 7 with a card, as the media thread would bring it.
class CardEngine final : public Engine {
 public:
  void SetWake(std::function<void()>) override {}
  int32_t AddRecording(std::span<const int16_t>) override { return 0; }
  void SetReadBackVoice(uint32_t, const ReadBackVoice&) override {}
  EngineFault OpenLeg(const LegOpen&, LegHandle*, uint16_t*) override { return EngineFault::kNone; }
  EngineFault UpdateLeg(uint32_t, LegHandle, const MediaConfig&) override { return EngineFault::kNone; }
  EngineFault CloseLeg(uint32_t, LegHandle) override { return EngineFault::kNone; }
  EngineFault SetRoutes(uint32_t, uint32_t, std::span<const Route>) override { return EngineFault::kNone; }
  EngineFault ArmMask(uint32_t, LegHandle, const MaskOrder&) override { return EngineFault::kNone; }
  EngineFault DisarmMask(uint32_t, LegHandle) override { return EngineFault::kNone; }
  EngineFault Play(uint32_t, LegHandle, std::span<const int32_t>, bool, bool) override { return EngineFault::kNone; }
  EngineFault StopPlay(uint32_t, LegHandle) override { return EngineFault::kNone; }
  EngineFault BeginPayment(uint32_t, LegHandle) override { return EngineFault::kNone; }
  EngineFault EndPayment(uint32_t, LegHandle) override { return EngineFault::kNone; }
  EngineFault OpenField(uint32_t, LegHandle, const FieldOrder&) override { return EngineFault::kNone; }
  EngineFault CloseField(uint32_t, LegHandle) override { return EngineFault::kNone; }
  EngineFault WipeField(uint32_t, LegHandle, FieldKind) override { return EngineFault::kNone; }
  EngineFault OpenKeys(uint32_t, LegHandle, uint16_t, uint8_t) override { return EngineFault::kNone; }
  EngineFault CloseKeys(uint32_t, LegHandle) override { return EngineFault::kNone; }
  EngineFault SendKeys(uint32_t, LegHandle, const KeysToSend&) override { return EngineFault::kNone; }
  EngineFault ReadBack(uint32_t, LegHandle, FieldKind, ReadBackStyle, uint32_t) override { return EngineFault::kNone; }
  EngineFault CopyFields(LegHandle leg, FieldSet* out, void (*done)(void*, bool), void* job) override {
    if (leg == 9) return EngineFault::kNoPayment;
    const auto set = [&](FieldKind kind, const char* text) {
      auto& field = out->fields[static_cast<size_t>(kind)];
      for (; *text != 0; ++text) field.digits[field.length++] = static_cast<uint8_t>(*text - '0');
    };
    if (leg == 7) {
      set(FieldKind::kPan, "4000056655665556");
      set(FieldKind::kExpiry, "1228");
      set(FieldKind::kCvc, "737");
    }
    std::thread([=] { done(job, leg == 7); }).join();
    return EngineFault::kNone;
  }
  size_t Drain(std::span<EngineEvent>, uint64_t*) override { return 0; }
  EngineFault ReadStats(LegHandle, LegStats*) override { return EngineFault::kNone; }
  EngineFault SetToday(uint16_t, uint8_t) override { return EngineFault::kNone; }
  uint64_t Pulse() override { return 0; }
  void Close() override {}
};

class Client {
 public:
  Client() {
    std::string error;
    egress = EgressThread::Create(&engine, [this] {
      const std::lock_guard lock(mutex);
      ++woken;
      wake.notify_all();
    }, &error);
    CHECK(egress != nullptr);
  }
  EgressResult Wait() {
    std::unique_lock lock(mutex);
    CHECK(wake.wait_for(lock, std::chrono::seconds(10), [&] { return woken > taken; }));
    ++taken;
    EgressResult result;
    CHECK(egress->TakeResult(&result));
    return result;
  }
  EgressResult Send(EgressRequest request) {
    std::string fault;
    const EgressFault started = egress->Start(std::move(request), &fault);
    if (started != EgressFault::kNone) std::fprintf(stderr, "not started: %s\n", fault.c_str());
    CHECK(started == EgressFault::kNone);
    return Wait();
  }
  CardEngine engine;
  std::mutex mutex;
  std::condition_variable wake;
  int woken = 0, taken = 0;
  std::unique_ptr<EgressThread> egress;
};

EgressRequest Post(uint16_t port, bool tls, const char* host = "127.0.0.1") {
  EgressRequest request;
  request.id = 5;
  request.leg = 7;
  request.method = "POST";
  request.target = {tls, host, port, "/charge"};
  request.format = BodyFormat::kJson;
  request.body = "{\"n\":\"{{pan}}\",\"e\":\"{{expiry}}\",\"c\":\"{{cvc}}\",\"r\":\"ch_9\"}";
  request.timeout_ms = 5000;
  request.fields_allowed = 0xFF;
  return request;
}

const char kFilled[] = "{\"n\":\"4000056655665556\",\"e\":\"1228\",\"c\":\"737\",\"r\":\"ch_9\"}";
const char kScrubbed[] = "{\"e\":{\"n\":\"****************\",\"e\":\"****\",\"c\":\"***\",\"r\":\"ch_9\"}}";
using Kind = EgressResult::Kind;

void PlainAndTls() {
  Client client;
  const Certificate certificate("DNS:localhost,IP:127.0.0.1");
  std::string error;
  CHECK(client.egress->AddTrust(certificate.Pem(), &error) == 0);
  CHECK(client.egress->AddTrust("no certificate", &error) == -1 && !error.empty());
  for (const bool tls : {false, true}) {
    Server server(Manner::kEcho, tls ? &certificate : nullptr);
    for (const char* host : {"127.0.0.1", "localhost"}) {
      const EgressResult result = client.Send(Post(server.port, tls, host));
      if (result.kind != Kind::kAnswered) std::fprintf(stderr, "%s: %s\n", host, result.reason.c_str());
      CHECK(result.kind == Kind::kAnswered && result.status == 200 && result.id == 5);
      CHECK(server.seen.find(kFilled) != std::string::npos);
      CHECK(result.body == kScrubbed);
      CHECK(result.headers.size() == 2 && result.headers[0].first == "x-echo");
      CHECK(result.headers.size() == 2 && result.headers[0].second.find("4000056") == std::string::npos);
    }
  }
  Server server(Manner::kEcho, nullptr);
  EgressRequest bare = Post(server.port, false);
  bare.leg = 0;
  bare.method = "GET";
  bare.format = BodyFormat::kNone;
  bare.body.clear();
  CHECK(client.Send(std::move(bare)).kind == Kind::kAnswered);
}

// Every body format, signed: over plain and TLS the value is that of egress_test's vectors, and an echo of it is scrubbed.
void FormatsAndSignatures() {
  Client client;
  const Certificate certificate("DNS:localhost,IP:127.0.0.1");
  std::string error;
  CHECK(client.egress->AddTrust(certificate.Pem(), &error) == 0);
  const uint32_t signer = client.egress->AddSigner({"X-Signature", SignKind::kHmacSha256, SignEncoding::kHex, "v1=", ""}, "a secret", &error);
  CHECK(signer == 1);
  CHECK(client.egress->AddSigner({"X-Signature", SignKind::kHmacSha256, SignEncoding::kHex, "", ""}, "", &error) == 0 && !error.empty());
  struct Row { BodyFormat format; const char* body; const char* type; const char* filled; const char* signature; };
  const Row rows[] = {
      {BodyFormat::kJson, nullptr, "application/json", kFilled, "899cab2783d71aca5abf7d075d2b3b26fd4740e1525a3e8908defba17851ff50"},
      // printf '%s' 'n=4000056655665556&m=12&y=28&d=%7B%7B' | openssl dgst -sha256 -hmac 'a secret' -r
      {BodyFormat::kForm, "n={{pan}}&m={{expiry|month2}}&y={{expiry|year2}}&d=%7B%7B", "application/x-www-form-urlencoded",
       "n=4000056655665556&m=12&y=28&d=%7B%7B", "141c797b73a837fb8f7d8d652e6e27c918fc8c9ddf90b695db0170a22bfae5ed"},
      // printf '%s' '<c><n>4000056655665556</n><y>2028</y><d>&#123;&#123;</d></c>' | openssl dgst -sha256 -hmac 'a secret' -r
      {BodyFormat::kXml, "<c><n>{{pan}}</n><y>{{expiry|year4}}</y><d>&#123;&#123;</d></c>", "application/xml",
       "<c><n>4000056655665556</n><y>2028</y><d>&#123;&#123;</d></c>", "d295180ffdeab1865aa5d14f1de026990619c6901f52aead058c6207cc8063cd"},
  };
  for (const bool tls : {false, true}) {
    Server server(Manner::kEcho, tls ? &certificate : nullptr);
    for (const Row& row : rows) {
      EgressRequest request = Post(server.port, tls);
      request.format = row.format;
      if (row.body != nullptr) request.body = row.body;
      request.signer = signer;
      const EgressResult result = client.Send(std::move(request));
      CHECK(result.kind == Kind::kAnswered);
      CHECK(server.seen.find(row.filled) != std::string::npos);
      CHECK(server.seen.find(std::string("Content-Type: ") + row.type + "\r\n") != std::string::npos);
      const bool is_signed = server.seen.find(std::string("X-Signature: v1=") + row.signature + "\r\n") != std::string::npos;
      if (!is_signed) std::fprintf(stderr, "not signed with %s:\n%s\n", row.signature, server.seen.c_str());
      CHECK(is_signed);
      CHECK(result.headers.size() == 3 && result.headers[1].first == "x-signature");
      CHECK(result.headers.size() == 3 && result.headers[1].second == std::string(67, '*'));
      CHECK(result.body.find("4000056") == std::string::npos);
    }
  }
  std::string fault;
  EgressRequest request = Post(1, false);
  request.signer = 2;
  CHECK(client.egress->Start(std::move(request), &fault) == EgressFault::kRequest && fault == "no such signature");
  request = Post(1, false);
  request.signer = signer;
  request.headers = {{"x-signature", "mine"}};  // Control may not write it.
  CHECK(client.egress->Start(std::move(request), &fault) == EgressFault::kRequest && !fault.empty());
}

void Refusals() {
  Client client;
  std::string fault;
  EgressRequest request = Post(1, false);
  request.fields_allowed = 1U << static_cast<unsigned>(FieldKind::kPan);
  CHECK(client.egress->Start(std::move(request), &fault) == EgressFault::kNotAllowed);
  request = Post(1, false);
  request.body = "{{pan|reverse}}";
  CHECK(client.egress->Start(std::move(request), &fault) == EgressFault::kTemplate);
  request = Post(1, false);
  request.leg = 0;
  CHECK(client.egress->Start(std::move(request), &fault) == EgressFault::kTemplate);
  request = Post(1, false);
  request.leg = 9;
  CHECK(client.egress->Start(std::move(request), &fault) == EgressFault::kNoPayment);
  request = Post(1, false);
  request.headers = {{"X-A", "b\r\nc: d"}};
  CHECK(client.egress->Start(std::move(request), &fault) == EgressFault::kRequest);
  CHECK(client.egress->Start(Post(1, true), &fault) == EgressFault::kRequest);  // No authorities.
  request = Post(1, false);
  request.leg = 8;  // Its payment ended meanwhile.
  CHECK(client.Send(std::move(request)).kind == Kind::kNotSent);
}

// Nothing can have arrived, or something may have: the difference decides whether a charge is tried again.
void SentOrNot() {
  Client client;
  const Certificate certificate("DNS:localhost,IP:127.0.0.1");
  const Certificate other("DNS:elsewhere.example");
  std::string error;
  client.egress->AddTrust(certificate.Pem(), &error);
  client.egress->AddTrust(other.Pem(), &error);
  struct Row { const char* what; Manner manner; const Certificate* certificate; bool tls; uint32_t trust; int max_tls; Kind kind; };
  const Row rows[] = {
      {"tls: hangs up at once", Manner::kHangUp, &certificate, true, 0, 0, Kind::kNotSent},
      {"tls: server speaks plain", Manner::kEcho, nullptr, true, 0, 0, Kind::kNotSent},
      {"tls: unknown authority", Manner::kEcho, &certificate, true, 1, 0, Kind::kNotSent},
      {"tls: certificate of another host", Manner::kEcho, &other, true, 1, 0, Kind::kNotSent},
      {"tls: 1.1 only", Manner::kEcho, &certificate, true, 0, TLS1_1_VERSION, Kind::kNotSent},
      {"tls: hangs up after the request", Manner::kHangUpAfterRequest, &certificate, true, 0, 0, Kind::kNoAnswer},
      {"plain: hangs up after the request", Manner::kHangUpAfterRequest, nullptr, false, 0, 0, Kind::kNoAnswer},
      {"plain: stalls", Manner::kStall, nullptr, false, 0, 0, Kind::kNoAnswer},
      {"tls: stalls", Manner::kStall, &certificate, true, 0, 0, Kind::kNoAnswer},
      {"plain: endless answer", Manner::kEndless, nullptr, false, 0, 0, Kind::kNoAnswer},
      {"plain: compressed answer", Manner::kCompressed, nullptr, false, 0, 0, Kind::kNoAnswer},
  };
  for (const Row& row : rows) {
    Server server(row.manner, row.certificate, row.max_tls);
    EgressRequest request = Post(server.port, row.tls);
    request.trust = row.trust;
    request.timeout_ms = row.manner == Manner::kStall ? 300 : 3000;
    const EgressResult result = client.Send(std::move(request));
    if (result.kind != row.kind) std::fprintf(stderr, "%s: kind %d %s\n", row.what, static_cast<int>(result.kind), result.reason.c_str());
    CHECK(result.kind == row.kind && !result.reason.empty());
    if (row.kind == Kind::kNotSent) CHECK(server.seen.find("400005") == std::string::npos);
  }
  CHECK(client.Send(Post(1, false)).kind == Kind::kNotSent);                       // Refused.
  CHECK(client.Send(Post(80, false, "no-such-host.invalid")).kind == Kind::kNotSent);
  CHECK(client.Send(Post(80, false, "192.0.2.1")).reason == "plain http may reach this machine only");
}

void ManyAtOnce() {
  Client client;
  Server stall(Manner::kStall, nullptr);
  std::string fault;
  size_t started = 0;
  for (; started < kEgressJobsMax; ++started) {
    EgressRequest request = Post(stall.port, false);
    request.timeout_ms = 2000;   // Longer than filling all places takes, also on a machine that does other things.
    request.id = static_cast<uint32_t>(started);
    CHECK(client.egress->Start(std::move(request), &fault) == EgressFault::kNone);
  }
  CHECK(client.egress->Start(Post(stall.port, false), &fault) == EgressFault::kBusy);
  for (size_t i = 0; i < started; ++i) CHECK(client.Wait().kind != Kind::kAnswered);
  Server echo(Manner::kEcho, nullptr);
  CHECK(client.Send(Post(echo.port, false)).kind == Kind::kAnswered);
  // Closing with requests under way wipes and ends at once.
  CHECK(client.egress->Start(Post(stall.port, false), &fault) == EgressFault::kNone);
  client.egress->Close();
}

}  // namespace

int main() {
  PlainAndTls();
  FormatsAndSignatures();
  Refusals();
  SentOrNot();
  ManyAtOnce();
  return test::Finish();
}
