# Hushtone. The commands a person needs: make run, make demo, make test, make bench. Everything else serves these.
SHELL := /bin/bash
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
BUILD ?= build
JOBS ?= $(shell nproc)
CCACHE := $(shell command -v ccache)
HUSHTONE := node src/cli/hushtone.js
# Arguments for hushtone: make run ARGS='--config my.yaml'
ARGS ?=

# What Debian must bring, as WHAT:PACKAGE. WHAT is a command, or a file that is there once the package is.
RUN_NEEDS := g++:g++ cmake:cmake npm:npm /usr/include/srtp2/srtp.h:libsrtp2-dev /usr/include/opus/opus.h:libopus-dev \
	/usr/include/spandsp.h:libspandsp-dev
TEST_NEEDS := sipp:sip-tester tshark:tshark sox:sox multimon-ng:multimon-ng baresip:baresip-core \
	/usr/include/openssl/ssl.h:libssl-dev python3:python3 openssl:openssl pocketsphinx_batch:pocketsphinx \
	/usr/share/pocketsphinx/model/en-us:pocketsphinx-en-us

# libFuzzer and the sanitizers of clang are a package of their own, named by the version that Debian 12 has.
FUZZ_NEEDS := clang++:clang /usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.fuzzer-*.a:libclang-rt-14-dev
BENCH_NEEDS := sipp:sip-tester multimon-ng:multimon-ng sox:sox rtpengine:rtpengine-daemon /usr/include/openssl/ssl.h:libssl-dev

.PHONY: run demo test check soak bench build needs-run needs-test needs-fuzz needs-bench node-modules addon lint types test-unit \
	test-e2e test-native test-native-tsan fuzz fuzz-build clean

run: build
	@exec $(HUSHTONE) serve $(ARGS)

demo: build
	@exec $(HUSHTONE) demo $(ARGS)

# Types, lint, unit tests, native tests under sanitizers, end-to-end tests; the last line adds them up.
test: needs-test build
	@node test/run.ts

# All that, the fuzzers for a short time, the thread sanitizer: before a change goes in.
check: needs-test needs-fuzz build
	@node test/check.ts

# What takes long: drachtio-srf's suite ten times, longer fuzzing, calls with memory watched. Prints its plan first; what it
# found is in build/soak. SOAK_FLAGS='--only calls' runs a part.
SOAK_FLAGS ?=
soak: needs-test needs-fuzz build fuzz-build
	@node test/soak.ts $(SOAK_FLAGS)

bench: needs-bench build
	@node bench/run.ts $(if $(CASE),--case $(CASE))

build: needs-run node-modules addon

# Installs what is missing where it may; otherwise prints the one command and stops.
define install_missing
missing=(); for need in $(1); do what=$${need%%:*}; \
  if [[ $$what == /* ]]; then found=$$(compgen -G "$$what" || compgen -G "$${what/include/include/*-linux-gnu}"); \
  else found=$$(command -v "$$what" || PATH=$$PATH:/usr/sbin:/sbin command -v "$$what"); fi; \
  [[ -n $$found ]] || missing+=($${need##*:}); done; \
if (( $${#missing[@]} )); then \
  if ! command -v apt-get >/dev/null; then echo "hushtone: please install: $${missing[*]} (Debian's names)"; exit 1; fi; \
  if (( EUID != 0 )); then echo "hushtone: please run: sudo apt-get install -y $${missing[*]}"; exit 1; fi; \
  echo "hushtone: installing $${missing[*]}"; \
  export DEBIAN_FRONTEND=noninteractive; apt-get update -qq; \
  apt-get install -y -qq --no-install-recommends $${missing[@]} >/dev/null || exit 1; fi
endef

needs-run:
	@$(call install_missing,$(RUN_NEEDS))

needs-bench: needs-run
	@$(call install_missing,$(BENCH_NEEDS))

needs-fuzz: needs-run
	@$(call install_missing,$(FUZZ_NEEDS))

needs-test: needs-run
	@$(call install_missing,$(TEST_NEEDS))

# No install script runs: better-sqlite3 brings its binary, and Node 24 is taken from its platform package, which is what the
# npm package `node` would fetch by a script.
node-modules: node_modules/.package-lock.json
node_modules/.package-lock.json: package.json package-lock.json | needs-run
	npm install --no-save --ignore-scripts --no-audit --no-fund --loglevel=error
	@ln -sfn ../node-linux-$(if $(filter aarch64,$(shell uname -m)),arm64,x64)/bin/node node_modules/.bin/node
	@touch $@

addon: node-modules
	@mkdir -p $(BUILD)
	@cmake -S native -B $(BUILD)/native -DCMAKE_CXX_COMPILER_LAUNCHER=$(CCACHE) -DCMAKE_BUILD_TYPE=RelWithDebInfo \
	  >$(BUILD)/cmake.log 2>&1 || { cat $(BUILD)/cmake.log; exit 1; }
	@cmake --build $(BUILD)/native -j $(JOBS) >$(BUILD)/native.log 2>&1 || { cat $(BUILD)/native.log; exit 1; }

types: node-modules
	tsc -p .

# Warnings are errors; knip finds files, exports and dependencies that nothing uses.
lint: types
	biome check --error-on-warnings .
	knip --no-progress --exclude types

test-unit: build
	vitest run --config test/vitest.config.ts --project unit

test-e2e: build
	vitest run --config test/vitest.config.ts --project e2e

test-native:
	cmake -S native -B $(BUILD)/native-asan -DCMAKE_CXX_COMPILER_LAUNCHER=$(CCACHE) -DHUSHTONE_ADDON=OFF \
	  -DHUSHTONE_TESTS=ON -DHUSHTONE_SANITIZE=address,undefined -DCMAKE_BUILD_TYPE=Debug >/dev/null
	cmake --build $(BUILD)/native-asan -j $(JOBS)
	ctest --test-dir $(BUILD)/native-asan --output-on-failure --output-junit $(CURDIR)/$(BUILD)/native-asan.xml

# What has threads, under the thread sanitizer: engine and egress with real sockets, what they share on its own.
TSAN_TESTS := engine_test egress_thread_test threads_test
test-native-tsan:
	cmake -S native -B $(BUILD)/native-tsan -DCMAKE_CXX_COMPILER_LAUNCHER=$(CCACHE) -DHUSHTONE_ADDON=OFF \
	  -DHUSHTONE_TESTS=ON -DHUSHTONE_SANITIZE=thread -DCMAKE_BUILD_TYPE=Debug >/dev/null
	cmake --build $(BUILD)/native-tsan -j $(JOBS) --target $(TSAN_TESTS)
	ctest --test-dir $(BUILD)/native-tsan --output-on-failure --output-junit $(CURDIR)/$(BUILD)/native-tsan.xml \
	  -R '^($(subst $(eval) ,|,$(TSAN_TESTS)))$$'

# Each fuzzer for FUZZ_SECONDS. What it finds stays in build/fuzz; what showed a fault goes to native/fuzz/corpus by hand.
FUZZ_SECONDS ?= 10
FUZZ_FLAGS ?=
fuzz: needs-fuzz node-modules fuzz-build
	@node test/fuzz.ts --seconds $(FUZZ_SECONDS) $(FUZZ_FLAGS)

# Float-cast overflow is undefined behaviour that clang's `undefined` leaves out.
fuzz-build:
	cmake -S native -B $(BUILD)/native-fuzz -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_CXX_COMPILER_LAUNCHER=$(CCACHE) \
	  -DHUSHTONE_ADDON=OFF -DHUSHTONE_FUZZ=ON -DHUSHTONE_SANITIZE=address,undefined,float-cast-overflow >/dev/null
	cmake --build $(BUILD)/native-fuzz -j $(JOBS)

clean:
	rm -rf $(BUILD) build-*

.PHONY: test-drachtio-suite
# drachtio-srf's own upstream tests against the embedded SIP server; needs sipp, npm's registry and ../shared.
test-drachtio-suite: node-modules
	test/sip-server/upstream-suite
