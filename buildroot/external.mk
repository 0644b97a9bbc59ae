include $(sort $(wildcard $(BR2_EXTERNAL_TOMBOLO_PATH)/package/*/*.mk))
