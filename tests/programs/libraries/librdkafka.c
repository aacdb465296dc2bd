#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>
static int delivered;
static void on_delivery(rd_kafka_t *one, const rd_kafka_message_t *message, void *data) {
    (void)one, (void)data;
    delivered += message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
}
/* A producer; with `codec` it has a broker of its own making, and sends it a message. */
static rd_kafka_t *producer(const char *key, const char *value, const char *codec) {
    char why[200];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    if (rd_kafka_conf_set(conf, key, value, why, sizeof why)) puts(why);
    if (codec && rd_kafka_conf_set(conf, "compression.codec", codec, why, sizeof why)) puts(why);
    rd_kafka_t *one = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    if (!one) puts(why);
    return one;
}
static int sends(const char *codec) {
    char text[1000];
    memset(text, 'x', sizeof text);
    rd_kafka_t *one = producer("test.mock.num.brokers", "1", codec);
    int before = delivered;
    if (!one || rd_kafka_producev(one, RD_KAFKA_V_TOPIC("t"), RD_KAFKA_V_VALUE(text, sizeof text),
                                  RD_KAFKA_V_END)) return 0;
    rd_kafka_flush(one, 30000);
    rd_kafka_destroy(one);
    return delivered == before + 1;
}
/* With a word behind it: what the library tests of itself. */
int main(int count, char **words) {
    (void)words;
    if (count > 1) return rd_kafka_unittest();
    char features[300];
    size_t size = sizeof features;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (rd_kafka_conf_get(conf, "builtin.features", features, &size)) return 1;
    rd_kafka_conf_destroy(conf);
    printf("%s %s\n", rd_kafka_version_str(), features);
    const char *wanted[] = {"ssl", "zstd", "lz4", "gzip", "snappy", "sasl_scram"};
    for (int i = 0; i < 6; i++) if (!strstr(features, wanted[i])) return 2;
    rd_kafka_t *tls = producer("security.protocol", "ssl", NULL);
    if (!tls) return 3;
    rd_kafka_destroy(tls);
    return !sends("zstd") || !sends("lz4") || !sends("gzip") ? 4 : 0;
}
