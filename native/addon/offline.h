// Key presses of files and captures: the engine's own receiver and detector, without legs, sockets or threads.
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <span>

namespace hushtone {

// Adds the class `OfflineDecoder` to what the addon exports.
void DefineOffline(Napi::Env env, Napi::Object exports);
// ... and what opens packets before that: the class `OfflineSrtp`, and `readRed`.
void DefineOfflinePackets(Napi::Env env, Napi::Object exports);

bool IsTypedArray(const Napi::CallbackInfo& info, size_t at, napi_typedarray_type type);
// Three arguments from `at` on: bytes, and where something begins and ends in them. False where that is no place in them.
bool TakePlace(const Napi::CallbackInfo& info, size_t at, std::span<const uint8_t>* place);
Napi::Value RefuseArguments(const Napi::CallbackInfo& info, const char* reason);

}  // namespace hushtone
