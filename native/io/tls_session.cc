#include "io/tls_session.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace hushtone {

std::unique_ptr<TlsTrust> TlsTrust::Create(const std::string& pem, std::string* error) {
  if (pem.size() > kTrustPemBytesMax) {
    *error = "certificates of authorities are longer than a megabyte";
    return nullptr;
  }
  ERR_clear_error();
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  if (context == nullptr) {
    *error = "no TLS context";
    return nullptr;
  }
  auto trust = std::unique_ptr<TlsTrust>(new TlsTrust(context));
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  // CLEANSE_PLAINTEXT: what was decrypted is overwritten in OpenSSL's own buffer once it was read.
  SSL_CTX_set_options(context, SSL_OP_CLEANSE_PLAINTEXT | SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  size_t count = 0;
  for (X509* certificate; (certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr)) != nullptr; ++count) {
    X509_STORE_add_cert(store, certificate);
    X509_free(certificate);
  }
  BIO_free(bio);
  ERR_clear_error();  // The loop above ends with "no start line".
  if (count == 0) {
    *error = "no certificate in PEM";
    return nullptr;
  }
  return trust;
}

TlsTrust::~TlsTrust() { SSL_CTX_free(context_); }

std::unique_ptr<TlsSession> TlsSession::Create(const TlsTrust& trust, const std::string& host, bool is_address) {
  ERR_clear_error();
  SSL* ssl = SSL_new(trust.context());
  if (ssl == nullptr) return nullptr;
  auto session = std::unique_ptr<TlsSession>(new TlsSession(ssl));
  BIO* in = BIO_new(BIO_s_mem());
  BIO* out = BIO_new(BIO_s_mem());
  if (in == nullptr || out == nullptr) {
    BIO_free(in);
    BIO_free(out);
    return nullptr;
  }
  BIO_set_mem_eof_return(in, -1);  // "Empty" means wait, not end.
  SSL_set_bio(ssl, in, out);
  SSL_set_connect_state(ssl);
  // RFC 9110 §4.3.4: the certificate must be for the host of the URL.
  bool named = false;
  if (is_address) {
    named = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
  } else {
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    named = SSL_set1_host(ssl, host.c_str()) == 1 && SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
  }
  return named ? std::move(session) : nullptr;
}

TlsSession::~TlsSession() { SSL_free(ssl_); }

void TlsSession::Feed(std::span<const uint8_t> ciphertext) {
  BIO_write(SSL_get_rbio(ssl_), ciphertext.data(), static_cast<int>(ciphertext.size()));
}

TlsSession::State TlsSession::Handshake(std::string* fault) {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_);
  if (result == 1) return State::kDone;
  const int error = SSL_get_error(ssl_, result);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return State::kWait;
  const long verdict = SSL_get_verify_result(ssl_);
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  *fault = verdict != X509_V_OK ? X509_verify_cert_error_string(verdict) : reason != nullptr ? reason : "handshake failed";
  ERR_clear_error();
  return State::kFault;
}

TlsSession::State TlsSession::Write(std::span<const uint8_t> plaintext) {
  ERR_clear_error();
  const int result = SSL_write(ssl_, plaintext.data(), static_cast<int>(plaintext.size()));
  return result == static_cast<int>(plaintext.size()) ? State::kDone : State::kFault;
}

TlsSession::State TlsSession::Read(std::span<uint8_t> plaintext, size_t* count) {
  ERR_clear_error();
  const int result = SSL_read(ssl_, plaintext.data(), static_cast<int>(plaintext.size()));
  if (result > 0) {
    *count = static_cast<size_t>(result);
    return State::kDone;
  }
  const int error = SSL_get_error(ssl_, result);
  ERR_clear_error();
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return State::kWait;
  return error == SSL_ERROR_ZERO_RETURN ? State::kClosed : State::kFault;
}

void TlsSession::Goodbye() {
  ERR_clear_error();
  SSL_shutdown(ssl_);
  ERR_clear_error();
}

void TlsSession::TakeOutput(std::vector<uint8_t>* out) {
  BIO* bio = SSL_get_wbio(ssl_);
  const size_t pending = BIO_ctrl_pending(bio);
  if (pending == 0) return;
  const size_t before = out->size();
  out->resize(before + pending);
  BIO_read(bio, out->data() + before, static_cast<int>(pending));
}

}  // namespace hushtone
