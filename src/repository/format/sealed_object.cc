#include "repository/format/sealed_object.h"

#include <fmt/format.h>

#include "repository/format/wire.h"

namespace aeterna::repository {
namespace {

constexpr std::string_view kObjectMagic = "ADROBJ";
constexpr std::uint8_t kObjectVersion = 1;

SecretKey object_key(const RepositoryKeys& keys, const PackId& salt) {
    return derive_key(keys.sealing, salt.view(), "aeterna repository 1 object");
}

}  // namespace

PackId random_name(env::Random& random) {
    PackId id;
    for (std::size_t half = 0; half < 2; ++half) {
        const std::uint64_t number = random.next();
        for (std::size_t i = 0; i < 8; ++i) id.bytes[8 * half + i] = static_cast<char>(number >> (8 * i));
    }
    return id;
}

std::string seal_object(EntryType type, const std::string& name, Bytes plain, const RepositoryKeys& keys,
                        const PackId& salt, Compressor& compressor) {
    EntryCodec codec(compressor, object_key(keys, salt));
    std::string sealed;
    const SealedEntry entry = codec.seal(type, keys.content(bytes_of(name)), plain, 0, sealed);
    std::string object;
    WireWriter writer(object);
    writer.raw(kObjectMagic);
    writer.u8(static_cast<std::uint8_t>(type));
    writer.u8(kObjectVersion);
    writer.raw(salt.view());
    writer.u8(static_cast<std::uint8_t>(entry.codec));
    writer.raw(std::string_view("\0\0\0", 3));
    writer.u32(entry.plain_bytes);
    writer.raw(sealed);
    return object;
}

Result<std::string> open_object(EntryType type, const std::string& name, Bytes object, const RepositoryKeys& keys,
                                Compressor& compressor) {
    const Error damaged = make_error(ErrorCode::kCorrupt, fmt::format("'{}' is damaged", name));
    WireReader reader(object);
    if (reader.raw(kObjectMagic.size()) != kObjectMagic || reader.u8() != static_cast<std::uint8_t>(type))
        return damaged;
    if (const std::uint8_t version = reader.u8(); version > kObjectVersion) {
        return make_error(ErrorCode::kConfiguration, fmt::format("'{}' has format version {}", name, version),
                          "Use a newer aeterna-dr.");
    } else if (version != kObjectVersion) {
        return damaged;
    }
    const auto salt = reader.name<PackId>();
    SealedEntry entry;
    entry.type = type;
    entry.id = keys.content(bytes_of(name));
    const std::uint8_t codec_number = reader.u8();
    reader.raw(3);
    entry.plain_bytes = reader.u32();
    if (!reader.is_good() || !is_codec(codec_number)) return damaged;
    entry.codec = static_cast<Codec>(codec_number);
    const std::string_view sealed = reader.raw(reader.remaining());
    entry.sealed_bytes = static_cast<std::uint32_t>(sealed.size());
    EntryCodec codec(compressor, object_key(keys, salt));
    std::string plain;
    if (const Status opened = codec.open(entry, 0, bytes_of(sealed), plain); !opened) return damaged;
    return plain;
}

}  // namespace aeterna::repository
