// Key presses of files and captures: the engine's own receiver and detector, without legs, sockets or threads.
#pragma once

#include <napi.h>

namespace hushtone {

// Adds the class `OfflineDecoder` to what the addon exports.
void DefineOffline(Napi::Env env, Napi::Object exports);

}  // namespace hushtone
