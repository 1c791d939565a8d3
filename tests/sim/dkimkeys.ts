// Signing keys for simulations, always the same ones: what a run does must follow from its seed alone. They sign nothing else.

const of = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, 'base64'));

export const dkimKeys = {
  rsaPrivate: of(
    'MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQDCn4uO0vf+AMNQT3sgkH6D3zXkzYW1pkAGeJLZFX1y7YKuCur2MkQ8L6gFtc22WRnNB5d1FTqqCnljNMpcHeE+Mhe/' +
      'zRHHWwLtmsDGOb7H6U5QDG66ev2U+M2LuMMIpEiBG85y1Dh+l8vzhA9SbWlccOIToXYa/n9YCz7CkPGdZrm7nEXNjrCEgKebHL824281D8oEsh+4ekiYESKGkqV8h0NMT7Mjpv7VLOf1' +
      'ASUo5hpWgM719CXEwBztYzrW7nhTzFi3df9kuCk5S8Lric+DknZB4KwbqWjeYNPtAIceKjml4aVbvdD1QGQMXQXPSoCfwUlcXVuf7KrOMv4BJVf5AgMBAAECggEAALliaW3WT9GfsRHg' +
      'C3MRpaiWnxzZrvW80dEgyqSctKB1GVTteS5dKNJ+rj43z7EILlCXhlAmkh8aeiwWsbHxalqnLBqz0IQzuuXeeHyeRl2i0/JeKoLlslp9Sn3Cdkn45prWb6NZWW/+J9V3WdTTtlvCvDxs' +
      'XEDJAT7LFn0HY0g6AEZ/wMjOO+/HRpQjK+ynTZuReulBUhQTlb3rmFYf9WEzE7RxddRBsX+woQgnSTEXqUKAqWapB3cwVpL9qEX7BVL1nTZDa2bBz4C7WqnDsnNr3Nb2NlCJQbKoD8wI' +
      'Q2MR7PGg3bh15LRpTYPRIdp89wHYj1TrCeXwwOszeGEHqwKBgQDmtxn8xL5rxUnXPsnKFjdJP/2/suGuwtdKP4vF+WRAS+iF9rqB2TH6P+lavkpi210EqtDiOIhQCUdEjyqktR8HUJq9' +
      'y4dhY6ILo1FqrQBGhe54//Qi8jXUSayKYW9hcZ6rbkFP6IEZSHfplKrThvPqMMFws0iQ009JieBeKCOlpwKBgQDX89qC38t32UMTSakQVGWDwWU5cPLFY62Idchhdcwuzq3WVRuNXFiM' +
      'w12bLosvJmwy4Vqhm9f3/SelySRE57LQ3V1AdQiq+37uigt9lKAq+eJsH11sDvlCIxpQwiE/7u4GIzYwe2RkSC1S+maRgnZxdB7uFJVKP07o4k+/XygJXwKBgH72ai2ok2W5Nw5ldiRo' +
      'n1oHBfvVU86ZWGJ6n899k4ayfy4hfbdxL8iYHTGboFHQh9rGqZakJ5dr07VN19i193JOECm79C9K5eTjpi0/MPSeRYJ+z/nfMnI1bObmAaYtIXUTgouX1lt0ftCiyHMJQ/cvh3QepSNV' +
      'tb8xSbBnBF7nAoGAfi4g7jl/dK7Az4NJwp3dlueokrCZWZaNbd+MTs36mRrwXfzqlWVw5Aa/Kg4/CzTDIdOlFiquPVtxECCADbboN7wwYZpAj09V8mE8p4rxL0tE7nJBLwNsxyUlmixk' +
      'KywbbgCjCB8BIMs/mG1xAvKc7FuyOuBR/skQ/WhGuoYKKbcCgYAhJSOFUjYcv4U4MjuftVBKfyqYUfR+I+iDJ9GRpfRQKyXxumLs1SdtH8ppEwmQSDzPGGLnh/wb0Nu+cLk0MOE7l9Nx' +
      'C+xrmc3Ho94cVERbOQj8CQ6IWpjgYKe5AIjTeYyNjUEeTBBzWPT+z/qFBaWTci7QPfzvsZNBBXlEdMSayA==',
  ),
  rsaPublic: of(
    'MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwp+LjtL3/gDDUE97IJB+g9815M2FtaZABniS2RV9cu2Crgrq9jJEPC+oBbXNtlkZzQeXdRU6qgp5YzTKXB3hPjIXv80Rx1sC' +
      '7ZrAxjm+x+lOUAxuunr9lPjNi7jDCKRIgRvOctQ4fpfL84QPUm1pXHDiE6F2Gv5/WAs+wpDxnWa5u5xFzY6whICnmxy/NuNvNQ/KBLIfuHpImBEihpKlfIdDTE+zI6b+1Szn9QElKOYa' +
      'VoDO9fQlxMAc7WM61u54U8xYt3X/ZLgpOUvC64nPg5J2QeCsG6lo3mDT7QCHHio5peGlW73Q9UBkDF0Fz0qAn8FJXF1bn+yqzjL+ASVX+QIDAQAB',
  ),
  ed25519Private: of('MC4CAQAwBQYDK2VwBCIEIPUkq5F9S8YoWGsCI7iDSyF2D47u8aJ32A9PiqMW9B0M'),
  ed25519Public: of('IqzTKySipYfsI8DaLAEoNncnVdo4wrB+kPUuHqntj5I='),
};
