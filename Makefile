# Hushtone. The commands a person needs: make run, make demo, make test. Everything else serves these.
SHELL := /bin/bash
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
BUILD ?= build
JOBS ?= $(shell nproc)

.PHONY: build node-modules addon lint types test-unit test-native clean

build: node-modules addon

node-modules: node_modules/.package-lock.json
node_modules/.package-lock.json: package.json package-lock.json
	npm install --no-save --no-audit --no-fund
	@touch $@

addon: node-modules
	@cmake -S native -B $(BUILD)/native -DCMAKE_BUILD_TYPE=RelWithDebInfo >$(BUILD)-cmake.log 2>&1 || { cat $(BUILD)-cmake.log; exit 1; }
	@cmake --build $(BUILD)/native -j $(JOBS)

types: node-modules
	tsc -p .

lint: types
	biome check .

test-unit: build
	vitest run --project unit

test-native:
	cmake -S native -B $(BUILD)/native-asan -DCMAKE_CXX_COMPILER_LAUNCHER=$(shell command -v ccache) -DHUSHTONE_ADDON=OFF -DHUSHTONE_TESTS=ON -DHUSHTONE_SANITIZE=address,undefined -DCMAKE_BUILD_TYPE=Debug >/dev/null
	cmake --build $(BUILD)/native-asan -j $(JOBS)
	ctest --test-dir $(BUILD)/native-asan --output-on-failure

clean:
	rm -rf $(BUILD) build-*
