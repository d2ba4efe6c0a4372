// Takes the vault's values out of an answer before anybody reads it: a gateway may echo what it got, in any dress.
//
//   number, or 7 of its digits in a row     4242424242424242, 4242 4242-4242.4242, ["4","2","4", …, reversed,
//                                           %34%32…, %2534…, \u0034\u0032…, &#52;&#x32;…, full-width, UTF-16
//   the same inside base64 or hex           at any offset, url-safe alphabet too, twice over; the whole run goes
//   code, postcode, dates                   where they stand alone; month and year also beside a word that names them
//
// What stays readable on purpose: up to six digits in a row of the number (the BIN, the last four).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "vault/field_set.h"

namespace hushtone {

constexpr size_t kPanRunMin = 7;            // Shorter runs meet references and amounts by chance.
constexpr size_t kDigitGapMax = 4;          // Signs between two digits of one number.
constexpr size_t kIdTokenMin = 12;          // A code inside a longer word is part of an identifier.
constexpr size_t kEncodedRunMin = 12;       // Characters of base64 or hex worth decoding.
constexpr size_t kEchoRunMin = 12;           // 48 bits of hex: shorter runs cannot be tried out, and meet others by chance.
constexpr unsigned kEncodingDepthMax = 2;
constexpr size_t kHintBytes = 24;           // How far before a value a word like "exp_month" may begin.

// Overwrites with '*' in place and keeps the length. `scratch` holds decoded text and is wiped: locked memory, at least
// as long as `text`. Returns how many places were overwritten.
size_t Scrub(std::span<uint8_t> text, const FieldSet& fields, std::span<uint8_t> scratch);

// Overwrites every run of at least kEchoRunMin characters of `secret`, whatever their case: a digest over the body is a
// hash of the number, which who knows the rest of the body could try out.
size_t ScrubEcho(std::span<uint8_t> text, std::span<const uint8_t> secret);

// A JSON number that was overwritten becomes a string of stars, so that the rest of the answer can still be read.
void QuoteStars(std::span<uint8_t> json);

}  // namespace hushtone
