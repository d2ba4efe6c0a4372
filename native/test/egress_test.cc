// Templates, signatures, requests, answers and the scrub, the last with every dress we know a number to come in.
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "egress/http.h"
#include "egress/scrub.h"
#include "egress/sign.h"
#include "egress/template.h"
#include "test/check.h"

using namespace hushtone;

namespace {

std::string PanText() { return "4242424242424242"; }

void Set(FieldSet& fields, FieldKind kind, const std::string& text) {
  auto& field = fields.fields[static_cast<size_t>(kind)];
  field.length = static_cast<uint8_t>(text.size());
  for (size_t i = 0; i < text.size(); ++i) field.digits[i] = static_cast<uint8_t>(text[i] - '0');
}

void Card(FieldSet& fields, const std::string& pan) {
  Set(fields, FieldKind::kPan, pan);
  Set(fields, FieldKind::kExpiry, "1228");
  Set(fields, FieldKind::kCvc, "737");
}

std::span<uint8_t> Bytes(std::string& text) { return {reinterpret_cast<uint8_t*>(text.data()), text.size()}; }

std::string Scrubbed(std::string text, const std::string& pan = PanText()) {
  FieldSet fields;
  Card(fields, pan);
  std::vector<uint8_t> scratch(text.size() * 2 + 16);
  Scrub(Bytes(text), fields, scratch);
  for (const uint8_t byte : scratch) CHECK(byte == 0);
  return text;
}

void Templates() {
  FieldSet fields;
  Card(fields, "4000056655665556");
  Set(fields, FieldKind::kStartDate, "0124");
  Set(fields, FieldKind::kIssueNumber, "7");
  struct Row { const char* text; const char* filled; };
  const Row rows[] = {
      {"{\"n\":\"{{pan}}\",\"m\":\"{{expiry|month2}}\",\"y\":\"{{expiry|year4}}\",\"c\":\"{{cvc}}\"}",
       "{\"n\":\"4000056655665556\",\"m\":\"12\",\"y\":\"2028\",\"c\":\"737\"}"},
      {"card%5Bnumber%5D={{pan}}&exp={{expiry}}", "card%5Bnumber%5D=4000056655665556&exp=1228"},
      {"<Card><Last>{{pan|last4}}</Last><Y>{{expiry|year2}}</Y></Card>", "<Card><Last>5556</Last><Y>28</Y></Card>"},
      {"{\"a\":{\"b\":1}}", "{\"a\":{\"b\":1}}"},
      {"", ""},
      {"{{startDate}}{{startDate|month2}}{{startDate|year2}}{{startDate|year4}}", "012401242024"},
      {"{{expiry|month2}}/{{expiry|year2}} {{issueNumber}}", "12/28 7"},
      // Each format's own way to write a constant "{{": what a caller sent is not a placeholder.
      {"{\"d\":\"\\u007b\\u007bpan}} \\\"x\\\"\",\"n\":\"{{pan}}\"}", "{\"d\":\"\\u007b\\u007bpan}} \\\"x\\\"\",\"n\":\"4000056655665556\"}"},
      {"d=%7B%7Bpan%7D%7D+a%26b&n={{pan}}", "d=%7B%7Bpan%7D%7D+a%26b&n=4000056655665556"},
      {"<d>&#123;&#123;pan}} a &amp; b</d><n>{{pan}}</n>", "<d>&#123;&#123;pan}} a &amp; b</d><n>4000056655665556</n>"},
      {"{{pan|month2}}", nullptr}, {"{{cvc|last4}}", nullptr}, {"{{issueNumber|year4}}", nullptr},
      {"{{pan|nope}}", nullptr}, {"{{", nullptr}, {"{{pan", nullptr}, {"{{ pan }}", nullptr}, {"{{PAN}}", nullptr},
      {"{{pan}}{{pan}}", nullptr},          // The second came in by a description, say.
      {"{{postcode}}", nullptr},            // The vault has none.
  };
  for (const Row& row : rows) {
    std::vector<uint8_t> memory(256);
    SecretBuffer out(memory);
    FieldMask mask = 0;
    std::string fault;
    const bool ok = CheckTemplate(row.text, &mask, &fault) && FillTemplate(row.text, fields, 2000, &out, &fault);
    if (ok != (row.filled != nullptr)) std::fprintf(stderr, "template %s: %s\n", row.text, fault.c_str());
    CHECK(ok == (row.filled != nullptr));
    CHECK(ok || !fault.empty());
    if (ok && row.filled) CHECK(std::string(reinterpret_cast<char*>(memory.data()), out.size()) == row.filled);
  }
  // Filters of a date need a whole date; the last four need a whole number.
  FieldSet half;
  Set(half, FieldKind::kExpiry, "122");
  Set(half, FieldKind::kPan, "40000566556");
  for (const char* text : {"{{expiry|month2}}", "{{expiry|year4}}", "{{pan|last4}}"}) {
    std::vector<uint8_t> memory(64);
    SecretBuffer none(memory);
    std::string why;
    CHECK(!FillTemplate(text, half, 2000, &none, &why) && !why.empty());
  }
  std::vector<uint8_t> small(10);
  SecretBuffer out(small);
  std::string fault;
  CHECK(!FillTemplate("{{pan}}", fields, 2000, &out, &fault) && out.overflowed());
  FieldMask mask = 0;
  CHECK(CheckTemplate("{{pan}}{{cvc}}", &mask, &fault) && mask == (1U << 1 | 1U << 3));
}

// printf '%s' BODY | openssl dgst -sha256 [-hmac 'a secret'] -r, or … -binary | base64; with a time: '1764090000.%s'.
void Signatures() {
  const char body[] = "{\"n\":\"4000056655665556\",\"e\":\"1228\",\"c\":\"737\",\"r\":\"ch_9\"}";
  const SignKind hmac = SignKind::kHmacSha256, plain = SignKind::kSha256;
  const SignEncoding hex = SignEncoding::kHex, base64 = SignEncoding::kBase64;
  struct Row { SignKind kind; SignEncoding encoding; const char* prefix; const char* suffix; const char* secret; const char* body; const char* value; };
  const Row rows[] = {
      {hmac, hex, "", "", "a secret", body, "899cab2783d71aca5abf7d075d2b3b26fd4740e1525a3e8908defba17851ff50"},
      {hmac, base64, "", "", "a secret", body, "iZyrJ4PXGspav30HXSs7Jv1HQOFSWj6JCN77oXhR/1A="},
      {hmac, hex, "t={timestamp},v1=", "", "a secret", body, "t=1764090000,v1=54ebb9c0dbad8e458ea1e942572fc9aa7594f2ecba0e33cba5b2e24e877b9814"},
      {hmac, hex, "", "", "a secret", "", "33c72ee7563ee487fa8bc10b7d54534e6ca107b9cb14b72894d55d562bd96ef1"},
      {plain, hex, "", "", "", body, "9d43ad89c2ed59492db80c16c84233aa18221c7229ce902fcd26815c92d8b9cf"},
      // RFC 9530 §2: a byte sequence between colons.
      {plain, base64, "sha-256=:", ":", "", body, "sha-256=:nUOticLtWUktuAwWyEIzqhgiHHIpzpAvzSaBXJLYuc8=:"},
      // RFC 4231 §4.3, test case 2.
      {hmac, hex, "", "", "Jefe", "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
  };
  for (const Row& row : rows) {
    std::string error;
    const auto signer = Signer::Create({"X-Signature", row.kind, row.encoding, row.prefix, row.suffix}, row.secret, &error);
    CHECK(signer != nullptr);
    if (signer == nullptr) continue;
    std::vector<uint8_t> memory(kSignatureBytesMax);
    SecretBuffer value(memory);
    const std::string_view text(row.body);
    CHECK(signer->Sign(1764090000, {reinterpret_cast<const uint8_t*>(text.data()), text.size()}, &value));
    const std::string got(reinterpret_cast<char*>(memory.data()), value.size());
    if (got != row.value) std::fprintf(stderr, "signature %s, not %s\n", got.c_str(), row.value);
    CHECK(got == row.value);
    std::vector<uint8_t> small(20);
    SecretBuffer none(small);
    CHECK(!signer->Sign(1764090000, {}, &none));
  }
  struct Wrong { const char* header; SignKind kind; std::string prefix; std::string suffix; std::string secret; };
  const Wrong wrong[] = {
      {"X-S", hmac, "", "", ""}, {"X-S", plain, "", "", "a secret"}, {"X-S", plain, "t={timestamp}", "", ""}, {"Host", hmac, "", "", "s"},
      {"X S", hmac, "", "", "s"}, {"", hmac, "", "", "s"}, {"X-S", hmac, "a\r\nB: c", "", "s"}, {"X-S", hmac, "{{pan}}", "", "s"},
      {"X-S", hmac, std::string(kSignAffixBytesMax + 1, 'a'), "", "s"}, {"X-S", hmac, "", std::string(kSignAffixBytesMax + 1, 'a'), "s"},
      {"X-S", hmac, "", "", std::string(kSignSecretBytesMax + 1, 's')},
  };
  for (const Wrong& row : wrong) {
    std::string error;
    CHECK(Signer::Create({row.header, row.kind, hex, row.prefix, row.suffix}, row.secret, &error) == nullptr && !error.empty());
  }
}

// A digest that comes back, whole or in part and in capitals, is no use to anybody who tries numbers out.
void ScrubSignature() {
  std::string digest = "9d43ad89c2ed59492db80c16c84233aa18221c7229ce902fcd26815c92d8b9cf";
  const std::string stars(digest.size(), '*');
  struct Row { std::string text; std::string left; };
  const Row rows[] = {
      {"{\"digest\":\"" + digest + "\"}", "{\"digest\":\"" + stars + "\"}"},
      {"9D43AD89C2ED59492D and on", "****************** and on"},
      {"a" + digest.substr(50) + "a" + digest.substr(10, 12), "a**************a************"},
      {digest.substr(0, 11) + " " + digest.substr(30, 11), digest.substr(0, 11) + " " + digest.substr(30, 11)},
      {"", ""},
  };
  for (Row row : rows) {
    ScrubEcho(Bytes(row.text), Bytes(digest));
    if (row.text != row.left) std::fprintf(stderr, "left %s\n", row.text.c_str());
    CHECK(row.text == row.left);
  }
  std::string none = "nothing is signed";
  CHECK(ScrubEcho(Bytes(none), {}) == 0 && none == "nothing is signed");
}

void Requests() {
  std::string fault;
  HttpTarget target{true, "pay.example", 443, "/v1/charge?x=1"};
  CHECK(CheckRequest("POST", target, {{"Authorization", "Basic eA=="}}, &fault));
  for (const HttpHeaders& headers : {HttpHeaders{{"X-A", "b\r\nX-C: d"}}, HttpHeaders{{"X A", "b"}}, HttpHeaders{{"Host", "evil"}},
                                     HttpHeaders{{"content-length", "1"}}, HttpHeaders{{"X-A", "{{pan}}"}}, HttpHeaders{{"", "b"}}}) {
    CHECK(!CheckRequest("POST", target, headers, &fault));
  }
  for (const char* path : {"", "v1", "/a b", "/a\r\nX: y", "/{{pan}}"}) {
    CHECK(!CheckRequest("GET", {true, "pay.example", 443, path}, {}, &fault));
  }
  for (const char* host : {"", "a b", "a/b", "a@b", "a\r\nb"}) CHECK(!CheckRequest("GET", {true, host, 443, "/"}, {}, &fault));
  CHECK(!CheckRequest("GE T", target, {}, &fault));
  std::vector<uint8_t> memory(512);
  SecretBuffer out(memory);
  AppendHead("POST", {false, "::1", 8080, "/a"}, {{"X-A", "b"}}, BodyFormat::kJson, 7, {}, &out);
  CHECK(std::string(reinterpret_cast<char*>(memory.data()), out.size()) ==
        "POST /a HTTP/1.1\r\nHost: [::1]:8080\r\nConnection: close\r\nAccept-Encoding: identity\r\nX-A: b\r\n"
        "Content-Type: application/json\r\nContent-Length: 7\r\n\r\n");
  const std::string value = "v1=ab";
  const SecretHeader signature{"X-Signature", {reinterpret_cast<const uint8_t*>(value.data()), value.size()}};
  for (const auto& [format, type] : {std::pair{BodyFormat::kForm, "application/x-www-form-urlencoded"}, std::pair{BodyFormat::kXml, "application/xml"}}) {
    out.Clear();
    AppendHead("POST", {true, "pay.example", 443, "/"}, {}, format, 7, signature, &out);
    CHECK(std::string(reinterpret_cast<char*>(memory.data()), out.size()) ==
          std::string("POST / HTTP/1.1\r\nHost: pay.example\r\nConnection: close\r\nAccept-Encoding: identity\r\nX-Signature: v1=ab\r\n"
                      "Content-Type: ") + type + "\r\nContent-Length: 7\r\n\r\n");
  }
  CHECK(HasHeader({{"X-Signature", "a"}}, "x-SIGNATURE") && !HasHeader({{"X-Signatur", "a"}}, "X-Signature"));
}

void Answers() {
  struct Row { const char* bytes; bool closed; AnswerState state; unsigned status; const char* body; };
  const AnswerState done = AnswerState::kDone, more = AnswerState::kMore, bad = AnswerState::kFault;
  const Row rows[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", false, done, 200, "hi"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi and more", false, done, 200, "hi"},
      {"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", false, done, 200, ""},
      {"HTTP/1.1 402 No\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: u\r\n\r\n", false, done, 402, "abcde"},
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 C\r\nContent-Length: 1\r\n\r\n!", false, done, 201, "!"},
      {"HTTP/1.0 500 No\r\n\r\nuntil the end", true, done, 500, "until the end"},
      {"HTTP/1.1 204 None\r\n\r\n", false, done, 204, ""},
      {"HTTP/1.1 200 OK\r\n\r\npart", false, more, 0, ""},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", false, more, 0, ""},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", true, bad, 0, ""},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", false, more, 0, ""},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n", false, bad, 0, ""},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", false, bad, 0, ""},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n", false, bad, 0, ""},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", true, bad, 0, ""},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", true, bad, 0, ""},
      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", true, bad, 0, ""},
      {"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", true, bad, 0, ""},
      {"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", false, bad, 0, ""},
      {"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n", true, bad, 0, ""},
      {"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", true, bad, 0, ""},
      {"HTTP/2 200 OK\r\n\r\n", true, bad, 0, ""},
      {"SSH-2.0-x\r\n\r\n", true, bad, 0, ""},
      {"HTTP/1.1 999 OK\r\n\r\n", true, bad, 0, ""},
      {"\r\n\r\n", true, bad, 0, ""},
      {"", true, bad, 0, ""}, {"", false, more, 0, ""},
  };
  for (const Row& row : rows) {
    std::string bytes = row.bytes;
    HttpAnswer answer;
    const char* fault = nullptr;
    const AnswerState state = ParseAnswer(Bytes(bytes), row.closed, &answer, &fault);
    if (state != row.state) std::fprintf(stderr, "answer %s\n", row.bytes);
    CHECK(state == row.state);
    CHECK((state == bad) == (fault != nullptr));
    if (state == done) {
      CHECK(answer.status == row.status);
      CHECK(std::string(answer.body.begin(), answer.body.end()) == row.body);
    }
  }
  std::string many = "HTTP/1.1 200 OK\r\n";
  for (size_t i = 0; i <= kAnswerHeadersMax; ++i) many += "A: b\r\n";
  many += "\r\n";
  HttpAnswer answer;
  const char* fault = nullptr;
  CHECK(ParseAnswer(Bytes(many), true, &answer, &fault) == bad);
  std::string endless(kAnswerHeadBytesMax + 1, 'a');
  CHECK(ParseAnswer(Bytes(endless), false, &answer, &fault) == bad);
}

std::string Each(const std::string& digits, const char* before, const char* after = "") {
  std::string out;
  for (const char c : digits) out += before + std::string(1, c) + after;
  return out;
}

std::string Base64(const std::string& text, const char* alphabet) {
  std::string out;
  for (size_t i = 0; i < text.size(); i += 3) {
    const auto at = [&](size_t n) { return n < text.size() ? static_cast<uint32_t>(static_cast<uint8_t>(text[n])) : 0; };
    const uint32_t bits = at(i) << 16 | at(i + 1) << 8 | at(i + 2);
    out += alphabet[bits >> 18];
    out += alphabet[bits >> 12 & 63];
    out += i + 1 < text.size() ? alphabet[bits >> 6 & 63] : '=';
    out += i + 2 < text.size() ? alphabet[bits & 63] : '=';
  }
  return out;
}
const char kStandard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const char kUrlSafe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

std::string Hex(const std::string& text) {
  std::string out;
  char two[3];
  for (const char c : text) {
    std::snprintf(two, sizeof two, "%02x", static_cast<unsigned>(static_cast<uint8_t>(c)));
    out += two;
  }
  return out;
}

// What is left to read once everything that is not a digit is gone.
bool HoldsRun(const std::string& text, const std::string& pan) {
  std::string digits;
  for (const char c : text) {
    if (c >= '0' && c <= '9') digits += c;
  }
  for (size_t i = 0; i + kPanRunMin <= pan.size(); ++i) {
    if (digits.find(pan.substr(i, kPanRunMin)) != std::string::npos) return true;
  }
  return false;
}

void ScrubForms(const std::string& pan) {
  const std::string reversed(pan.rbegin(), pan.rend());
  std::string utf16, fullwidth;
  for (const char c : pan) {
    utf16 += c;
    utf16 += '\0';
    fullwidth += std::string("\xEF\xBC") + static_cast<char>(0x90 + (c - '0'));
  }
  // Plain forms: no run of the number's digits may be left in sequence.
  const std::vector<std::string> plain = {
      pan, "x" + pan + "y", "00" + pan + "00", "{\"n\":" + pan + "}", pan.substr(0, 4) + " " + pan.substr(4, 4) + "-" + pan.substr(8),
      Each(pan, "", " "), Each(pan, "", "-"), Each(pan, "\"", "\","), Each(pan, "", "\\n"), Each(pan, "", "\xC2\xA0"),
      pan.substr(0, 9), pan.substr(5), reversed, Each(pan, "", "%20"), Each(pan, "", "\\u0020"), utf16,
  };
  for (const std::string& form : plain) {
    const std::string out = Scrubbed("{\"echo\":\"" + form + "\",\"id\":\"ch_77\"}", pan);
    if (HoldsRun(out, pan) || HoldsRun(out, reversed)) std::fprintf(stderr, "left: %s\n", out.c_str());
    CHECK(!HoldsRun(out, pan) && !HoldsRun(out, reversed));
    CHECK(out.find("ch_77") != std::string::npos);
  }
  // Encoded forms: the text that carried them is gone.
  const std::vector<std::string> encoded = {
      Each(pan, "%3"), Each(pan, "%253"), Each(pan, "\\u003"), Each(pan, "\\\\u003"), Each(pan, "&#x3", ";"), Each(pan, "\\x3"), fullwidth,
  };
  for (const std::string& form : encoded) {
    const std::string out = Scrubbed("a=" + form + "&b=1", pan);
    CHECK(out.find(form.substr(0, form.size() / 2)) == std::string::npos);
    CHECK(out.find(form.substr(form.size() / 2)) == std::string::npos);
  }
  for (const char* alphabet : {kStandard, kUrlSafe}) {
    for (const char* prefix : {"", "a", "ab", "{\"number\":\"", "abcd"}) {
      const std::string body = prefix + pan + "\",\"cvv\":\"737\"}";
      for (const std::string& form : {Base64(body, alphabet), Base64(Base64(body, alphabet), alphabet), Base64(Hex(body), alphabet)}) {
        for (const char* lead : {"", "x", "xy", "xyz"}) {
          const std::string out = Scrubbed("{\"raw\":\"" + (lead + form) + "\"}", pan);
          CHECK(out.find(form.substr(4, 12)) == std::string::npos);
        }
      }
    }
  }
  CHECK(Scrubbed(Hex("n=" + pan), pan).find(Hex(pan.substr(2, 8))) == std::string::npos);
  std::string folded = Base64("{\"card\":\"" + pan + "\"}", kStandard);
  folded.insert(16, "\\r\\n");
  CHECK(Scrubbed(folded, pan).find(folded.substr(19, 8)) == std::string::npos);
}

void ScrubShortValues() {
  struct Row { const char* text; const char* left; };
  const Row rows[] = {
      {"{\"cvv\":\"737\"}", "{\"cvv\":\"***\"}"}, {"{\"cvv\":737}", "{\"cvv\":***}"}, {"cvv=737&x=1", "cvv=***&x=1"},
      {"cvv%3D737%26", "cvv%3D***%26"}, {"<c>737</c>", "<c>***</c>"}, {"\\u0037\\u0033\\u0037", "******************"},
      {"ch_737", "ch_737"}, {"17.737", "17.737"}, {"10:737", "10:737"}, {"77371", "77371"}, {"3fd1b6c2-737-aa10", "3fd1b6c2-737-aa10"},
      {"%737", "%***"}, {"%1228%", "%****%"}, {"exp 1228", "exp ****"}, {"12/28", "**/**"}, {"12\\/28", "**\\/**"}, {"12-2028", "**-****"}, {"2028-12", "****-**"},
      {"\"expiry_month\":\"12\",\"expiry_year\":\"28\"", "\"expiry_month\":\"**\",\"expiry_year\":\"**\""},
      {"{\"items\":12,\"rate\":28}", "{\"items\":12,\"rate\":28}"}, {"122800", "122800"}, {"122028", "******"},
      {"last4: 4242", "last4: 4242"}, {"bin 424242", "bin 424242"}, {"amount 4210", "amount 4210"},
  };
  for (const Row& row : rows) {
    const std::string out = Scrubbed(row.text);
    if (out != row.left) std::fprintf(stderr, "%s -> %s\n", row.text, out.c_str());
    CHECK(out == row.left);
  }
  std::string json = "{\"n\":****************,\"c\":***, \"d\":[1,**],\"s\":\"a ** b\",\"one\":*,\"x\":12****34}";
  QuoteStars(Bytes(json));
  CHECK(json == "{\"n\":\"**************\",\"c\":\"*\", \"d\":[1,\"\"],\"s\":\"a ** b\",\"one\":0,\"x\":\"******\"}");
}

void Fuzz() {
  std::mt19937 random(7);
  const std::string seeds[] = {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
                               "HTTP/1.1 200 OK\r\nContent-Length: 20\r\nX: y\r\n\r\n{\"n\":4242424242424242}",
                               "%34%2&#x3;\\u00\xEF\xBC\x94 QUJDREVGR0hJSktM 12/28 \\", "{{pan}}{{expiry|year4}}{{"};
  FieldSet fields;
  Card(fields, PanText());
  for (int round = 0; round < 6000; ++round) {
    std::string text = seeds[random() % 4];
    for (auto i = random() % 6; i > 0; --i) {
      const size_t at = random() % (text.size() + 1);
      const auto what = random() % 3;
      if (what == 0 && at < text.size()) text[at] = static_cast<char>(random());
      else if (what == 1) text.insert(at, 1, static_cast<char>(random()));
      else text.resize(at);
    }
    HttpAnswer answer;
    const char* fault = nullptr;
    std::string copy = text;
    const AnswerState state = ParseAnswer(Bytes(copy), random() % 2 == 0, &answer, &fault);
    CHECK((state == AnswerState::kFault) == (fault != nullptr));
    std::vector<uint8_t> scratch(text.size() + 1);
    copy = text;
    Scrub(Bytes(copy), fields, scratch);
    QuoteStars(Bytes(copy));
    CHECK(copy.size() == text.size());
    FieldMask mask = 0;
    std::string reason;
    std::vector<uint8_t> memory(64);
    SecretBuffer out(memory);
    if (CheckTemplate(text, &mask, &reason)) FillTemplate(text, fields, 2000, &out, &reason);
  }
}

}  // namespace

int main() {
  Templates();
  Signatures();
  Requests();
  Answers();
  ScrubForms("4242424242424242");
  ScrubForms("4000056655665556");
  ScrubForms("378282246310005");
  ScrubForms("6759649826438453");
  ScrubShortValues();
  ScrubSignature();
  Fuzz();
  return test::Finish();
}
