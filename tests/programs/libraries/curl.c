#include <curl/curl.h>
#include <stdio.h>
int main(void) {
    CURL *one = curl_easy_init();
    curl_version_info_data *about = curl_version_info(CURLVERSION_NOW);
    curl_easy_setopt(one, CURLOPT_URL, "file:///proc/self/cmdline");
    if (!(about->features & CURL_VERSION_SSL) || !(about->features & CURL_VERSION_LIBZ)) return 1;
    if (curl_easy_setopt(one, CURLOPT_URL, "https://127.0.0.1:9/")) return 2;
    if (curl_easy_perform(one) != CURLE_COULDNT_CONNECT) return 3;
    puts(curl_version());
    return 0;
}
